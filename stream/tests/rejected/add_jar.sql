-- add jar
ADD JAR 'x.jar';

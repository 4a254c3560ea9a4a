import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.config.TableConfigOptions;

/** Prints the SQL checks of the tests of built-in functions as lines of JSON: fields, expression, value. */
final class Functions {
    public static void main(String[] args) throws Exception {
        try (JarFile jar = new JarFile(args[0])) {
            for (JarEntry entry : Collections.list(jar.entries())) {
                String name = entry.getName();
                if (!name.matches("org/apache/flink/table/planner/functions/[A-Za-z]+ITCase\\.class")) continue;
                try {
                    print(Class.forName(name.replace('/', '.').replace(".class", "")));
                } catch (Throwable reason) {
                    Throwable cause = reason instanceof InvocationTargetException ? reason.getCause() : reason;
                    System.err.println(name + ": " + cause);
                }
            }
        }
    }

    private static void print(Class<?> test) throws Exception {
        Method specs = method(test, "getTestSetSpecs");
        if (specs == null) return;
        Constructor<?> constructor = test.getDeclaredConstructor();
        constructor.setAccessible(true);
        Object instance = constructor.newInstance();
        String zone = zone(test, instance);
        for (Object spec : ((Stream<?>) specs.invoke(instance)).collect(Collectors.toList())) {
            for (Object item : (List<?>) get(spec, "testItems")) {
                boolean hasResult = item.getClass().getSimpleName().equals("SqlResultTestItem");
                if (!hasResult && !item.getClass().getSimpleName().equals("SqlErrorTestItem")) continue;
                Map<String, Object> out = new LinkedHashMap<>();
                out.put("class", test.getSimpleName());
                out.put("udf", !((List<?>) get(spec, "functions")).isEmpty());
                out.put("zone", zone);
                out.put("types", names(get(spec, "fieldDataTypes")));
                out.put("data", get(spec, "fieldData"));
                out.put("sql", get(item, "expression"));
                if (hasResult) {
                    out.put("results", get(item, "results"));
                    out.put("result_types", names(get(item, "dataTypes")));
                } else {
                    out.put("error", true);
                }
                System.out.println(Json.of(out));
            }
        }
    }

    /** The session's time zone, where the test sets one. */
    private static String zone(Class<?> test, Object instance) throws Exception {
        Method configuration = method(test, "getConfiguration");
        if (configuration == null) return null;
        String zone = ((Configuration) configuration.invoke(instance)).get(TableConfigOptions.LOCAL_TIME_ZONE);
        return "default".equals(zone) ? null : zone;
    }

    private static Method method(Class<?> type, String name) {
        for (Class<?> at = type; at != null; at = at.getSuperclass()) {
            try {
                Method found = at.getDeclaredMethod(name);
                found.setAccessible(true);
                return found;
            } catch (NoSuchMethodException inherited) {
                // It may be the parent's.
            }
        }
        return null;
    }

    private static Object get(Object from, String name) throws Exception {
        for (Class<?> at = from.getClass(); at != null; at = at.getSuperclass()) {
            try {
                Field field = at.getDeclaredField(name);
                field.setAccessible(true);
                return field.get(from);
            } catch (NoSuchFieldException inherited) {
                // It may be the parent's.
            }
        }
        throw new NoSuchFieldException(name);
    }

    private static List<String> names(Object types) {
        List<String> out = new ArrayList<>();
        if (types == null) return out;
        Collection<?> all = types instanceof Collection ? (Collection<?>) types : Arrays.asList((Object[]) types);
        for (Object type : all) out.add(String.valueOf(type));
        return out;
    }
}

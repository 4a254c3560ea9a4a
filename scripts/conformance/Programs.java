import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import org.apache.flink.table.test.program.ConfigOptionTestStep;
import org.apache.flink.table.test.program.FailingSqlTestStep;
import org.apache.flink.table.test.program.SinkTestStep;
import org.apache.flink.table.test.program.SourceTestStep;
import org.apache.flink.table.test.program.SqlTestStep;
import org.apache.flink.table.test.program.StatementSetTestStep;
import org.apache.flink.table.test.program.TableTestProgram;
import org.apache.flink.table.test.program.TableTestStep;
import org.apache.flink.table.test.program.TestStep;

/** Prints the planner's test programs as lines of JSON: tables with rows, statements, expected rows. */
final class Programs {
    public static void main(String[] args) throws Exception {
        try (JarFile jar = new JarFile(args[0])) {
            for (JarEntry entry : Collections.list(jar.entries())) {
                if (!entry.getName().matches(".*(TestPrograms?|SemanticTests?)\\.class")) continue;
                try {
                    print(Class.forName(entry.getName().replace('/', '.').replace(".class", "")));
                } catch (Throwable reason) {
                    System.err.println(entry.getName() + ": " + reason);
                }
            }
        }
    }

    private static void print(Class<?> holder) throws Exception {
        for (Field field : holder.getDeclaredFields()) {
            if (!Modifier.isStatic(field.getModifiers()) || field.getType() != TableTestProgram.class) continue;
            field.setAccessible(true);
            TableTestProgram program = (TableTestProgram) field.get(null);
            Map<String, Object> out = new LinkedHashMap<>();
            out.put("class", holder.getSimpleName());
            out.put("id", program.id);
            out.put("description", program.description);
            out.put("setup", steps(program.setupSteps));
            out.put("run", steps(program.runSteps));
            System.out.println(Json.of(out));
        }
    }

    private static List<Object> steps(List<? extends TestStep> steps) {
        List<Object> out = new ArrayList<>();
        for (TestStep step : steps) out.add(step(step));
        return out;
    }

    private static Map<String, Object> step(TestStep step) {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("step", step.getKind().name());
        if (step instanceof TableTestStep) {
            TableTestStep table = (TableTestStep) step;
            out.put("name", table.name);
            out.put("schema", table.schemaComponents);
            out.put("options", table.options);
        }
        if (step instanceof SourceTestStep) {
            List<Object> rows = new ArrayList<>(((SourceTestStep) step).dataBeforeRestore);
            rows.addAll(((SourceTestStep) step).dataAfterRestore);
            out.put("rows", rows);
        }
        if (step instanceof SinkTestStep) {
            SinkTestStep sink = (SinkTestStep) step;
            // Some sinks expect no rows, and say so by an exception.
            try { out.put("expected", sink.getExpectedAsStrings()); } catch (RuntimeException none) { }
            try { out.put("materialized", sink.getExpectedMaterializedResultsAsStrings()); } catch (RuntimeException none) { }
        }
        if (step instanceof SqlTestStep) out.put("sql", ((SqlTestStep) step).sql);
        if (step instanceof StatementSetTestStep) out.put("statements", ((StatementSetTestStep) step).statements);
        if (step instanceof FailingSqlTestStep) out.put("sql", ((FailingSqlTestStep) step).sql);
        if (step instanceof ConfigOptionTestStep) {
            out.put("option", ((ConfigOptionTestStep<?>) step).option.key());
            out.put("value", String.valueOf(((ConfigOptionTestStep<?>) step).value));
        }
        return out;
    }
}

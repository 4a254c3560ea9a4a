import java.lang.reflect.Array;
import java.time.LocalTime;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.flink.types.Row;

/** Writes values as JSON. */
final class Json {
    private Json() {}

    static String of(Object value) {
        if (value == null) return "null";
        if (value instanceof Row) return row((Row) value);
        if (value instanceof Map) return map((Map<?, ?>) value);
        if (value instanceof Collection) return list((Collection<?>) value);
        if (value.getClass().isArray()) {
            List<Object> elements = new ArrayList<>();
            for (int i = 0; i < Array.getLength(value); i++) elements.add(Array.get(value, i));
            return list(elements);
        }
        // JSON has no such numbers.
        if (value instanceof Double && (((Double) value).isNaN() || ((Double) value).isInfinite())) return quoted(value);
        if (value instanceof Number || value instanceof Boolean) return value.toString();
        // The text of a whole minute leaves the seconds out, which a column of times wants.
        if (value instanceof LocalTime && ((LocalTime) value).getSecond() == 0 && ((LocalTime) value).getNano() == 0)
            return quoted(value + ":00");
        return quoted(value);
    }

    private static String row(Row row) {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("kind", row.getKind().shortString());
        Set<String> names = row.getFieldNames(false);
        if (names == null) {
            List<Object> fields = new ArrayList<>();
            for (int i = 0; i < row.getArity(); i++) fields.add(row.getField(i));
            out.put("fields", fields);
        } else {
            Map<String, Object> fields = new LinkedHashMap<>();
            for (String name : names) fields.put(name, row.getField(name));
            out.put("fields", fields);
        }
        return map(out);
    }

    private static String map(Map<?, ?> map) {
        StringBuilder out = new StringBuilder("{");
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            if (out.length() > 1) out.append(',');
            out.append(quoted(entry.getKey())).append(':').append(of(entry.getValue()));
        }
        return out.append('}').toString();
    }

    private static String list(Collection<?> list) {
        StringBuilder out = new StringBuilder("[");
        for (Object element : list) {
            if (out.length() > 1) out.append(',');
            out.append(of(element));
        }
        return out.append(']').toString();
    }

    private static String quoted(Object value) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : String.valueOf(value).toCharArray()) {
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else if (c < 32) out.append(String.format("\\u%04x", (int) c));
            else out.append(c);
        }
        return out.append('"').toString();
    }
}

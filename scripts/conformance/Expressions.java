import java.lang.annotation.Annotation;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.table.expressions.Expression;
import org.apache.flink.table.planner.expressions.ArrayTypeTest;
import org.apache.flink.table.planner.expressions.DecimalTypeTest;
import org.apache.flink.table.planner.expressions.LiteralTest;
import org.apache.flink.table.planner.expressions.ScalarFunctionsTest;
import org.apache.flink.table.planner.expressions.ScalarOperatorsTest;
import org.apache.flink.table.planner.expressions.SqlExpressionTest;
import org.apache.flink.table.planner.expressions.TemporalTypesTest;
import org.apache.flink.table.planner.expressions.utils.ExpressionTestBase;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.utils.TypeConversions;
import org.apache.flink.types.Row;

/**
 * Prints the SQL checks of the older expression tests as lines of JSON: fields, expression, value as text. It listens to
 * the tests' own methods, each on an instance of its own, since a test may set the session's time zone.
 */
final class Expressions {
    private static String from;
    private static List<String> types;
    private static List<Object> data;
    private static ExpressionTestBase test;

    public static void main(String[] args) throws Exception {
        Class<?>[] listeners = {
            ScalarFunctions.class,
            ScalarOperators.class,
            TemporalTypes.class,
            DecimalType.class,
            SqlExpression.class,
            Literal.class,
            ArrayType.class,
        };
        for (Class<?> listener : listeners) {
            from = listener.getSuperclass().getSimpleName();
            for (Method method : listener.getSuperclass().getMethods()) {
                if (!isTest(method)) continue;
                try {
                    prepare(listener);
                    method.invoke(test);
                } catch (Throwable reason) {
                    Throwable cause = reason instanceof InvocationTargetException ? reason.getCause() : reason;
                    System.err.println(from + "." + method.getName() + ": " + cause);
                }
            }
        }
    }

    private static boolean isTest(Method method) {
        for (Annotation annotation : method.getAnnotations()) {
            if (annotation.annotationType().getSimpleName().equals("Test")) return method.getParameterCount() == 0;
        }
        return false;
    }

    private static void prepare(Class<?> listener) throws Exception {
        Constructor<?> constructor = listener.getDeclaredConstructor();
        constructor.setAccessible(true);
        test = (ExpressionTestBase) constructor.newInstance();
        Class<?> type = listener.getSuperclass();
        // Some tests make their data before they are prepared, some when they are.
        Row row;
        try {
            row = (Row) type.getMethod("testData").invoke(test);
            quietly(type.getMethod("prepare"));
        } catch (InvocationTargetException notYet) {
            type.getMethod("prepare").invoke(test);
            row = (Row) type.getMethod("testData").invoke(test);
        }
        data = new ArrayList<>();
        for (int i = 0; i < row.getArity(); i++) data.add(row.getField(i));
        types = new ArrayList<>();
        Object dataType = quietly(type.getMethod("testDataType"));
        if (dataType instanceof DataType) {
            for (DataType child : ((DataType) dataType).getChildren()) types.add(child.getLogicalType().asSummaryString());
            return;
        }
        Object old = quietly(type.getMethod("typeInfo"));
        if (!(old instanceof RowTypeInfo)) return;
        for (TypeInformation<?> field : ((RowTypeInfo) old).getFieldTypes()) {
            types.add(TypeConversions.fromLegacyInfoToDataType(field).getLogicalType().asSummaryString());
        }
    }

    private static Object quietly(Method method) throws Exception {
        try {
            return method.invoke(test);
        } catch (InvocationTargetException none) {
            return null;
        }
    }

    private static void print(String sql, String expected, boolean isError) {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("class", from);
        out.put("udf", false);
        out.put("zone", test.tableConfig().getLocalTimeZone().getId());
        out.put("types", types);
        out.put("data", data);
        out.put("sql", sql);
        if (isError) {
            out.put("error", true);
        } else {
            out.put("results", Collections.singletonList(expected));
            out.put("as_text", true);
        }
        System.out.println(Json.of(out));
    }

    static final class ScalarFunctions extends ScalarFunctionsTest {
        @Override public void testAllApis(Expression e, String sql, String expected) { print(sql, expected, false); }
        @Override public void testTableApi(Expression e, String expected) { }
        @Override public void testSqlApi(String sql, String expected) { print(sql, expected, false); }
        @Override public void testExpectedAllApisException(Expression e, String sql, String words, Class<? extends Throwable> kind) { print(sql, null, true); }
        @Override public void testExpectedSqlException(String sql, String words, Class<? extends Throwable> kind) { print(sql, null, true); }
        @Override public void testExpectedTableApiException(Expression e, String words, Class<? extends Throwable> kind) { }
    }

    static final class ScalarOperators extends ScalarOperatorsTest {
        @Override public void testAllApis(Expression e, String sql, String expected) { print(sql, expected, false); }
        @Override public void testTableApi(Expression e, String expected) { }
        @Override public void testSqlApi(String sql, String expected) { print(sql, expected, false); }
        @Override public void testExpectedAllApisException(Expression e, String sql, String words, Class<? extends Throwable> kind) { print(sql, null, true); }
        @Override public void testExpectedSqlException(String sql, String words, Class<? extends Throwable> kind) { print(sql, null, true); }
        @Override public void testExpectedTableApiException(Expression e, String words, Class<? extends Throwable> kind) { }
    }

    static final class TemporalTypes extends TemporalTypesTest {
        @Override public void testAllApis(Expression e, String sql, String expected) { print(sql, expected, false); }
        @Override public void testTableApi(Expression e, String expected) { }
        @Override public void testSqlApi(String sql, String expected) { print(sql, expected, false); }
        @Override public void testExpectedAllApisException(Expression e, String sql, String words, Class<? extends Throwable> kind) { print(sql, null, true); }
        @Override public void testExpectedSqlException(String sql, String words, Class<? extends Throwable> kind) { print(sql, null, true); }
        @Override public void testExpectedTableApiException(Expression e, String words, Class<? extends Throwable> kind) { }
    }

    static final class DecimalType extends DecimalTypeTest {
        @Override public void testAllApis(Expression e, String sql, String expected) { print(sql, expected, false); }
        @Override public void testTableApi(Expression e, String expected) { }
        @Override public void testSqlApi(String sql, String expected) { print(sql, expected, false); }
        @Override public void testExpectedAllApisException(Expression e, String sql, String words, Class<? extends Throwable> kind) { print(sql, null, true); }
        @Override public void testExpectedSqlException(String sql, String words, Class<? extends Throwable> kind) { print(sql, null, true); }
        @Override public void testExpectedTableApiException(Expression e, String words, Class<? extends Throwable> kind) { }
    }

    static final class SqlExpression extends SqlExpressionTest {
        @Override public void testAllApis(Expression e, String sql, String expected) { print(sql, expected, false); }
        @Override public void testTableApi(Expression e, String expected) { }
        @Override public void testSqlApi(String sql, String expected) { print(sql, expected, false); }
        @Override public void testExpectedAllApisException(Expression e, String sql, String words, Class<? extends Throwable> kind) { print(sql, null, true); }
        @Override public void testExpectedSqlException(String sql, String words, Class<? extends Throwable> kind) { print(sql, null, true); }
        @Override public void testExpectedTableApiException(Expression e, String words, Class<? extends Throwable> kind) { }
    }

    static final class Literal extends LiteralTest {
        @Override public void testAllApis(Expression e, String sql, String expected) { print(sql, expected, false); }
        @Override public void testTableApi(Expression e, String expected) { }
        @Override public void testSqlApi(String sql, String expected) { print(sql, expected, false); }
        @Override public void testExpectedAllApisException(Expression e, String sql, String words, Class<? extends Throwable> kind) { print(sql, null, true); }
        @Override public void testExpectedSqlException(String sql, String words, Class<? extends Throwable> kind) { print(sql, null, true); }
        @Override public void testExpectedTableApiException(Expression e, String words, Class<? extends Throwable> kind) { }
    }

    static final class ArrayType extends ArrayTypeTest {
        @Override public void testAllApis(Expression e, String sql, String expected) { print(sql, expected, false); }
        @Override public void testTableApi(Expression e, String expected) { }
        @Override public void testSqlApi(String sql, String expected) { print(sql, expected, false); }
        @Override public void testExpectedAllApisException(Expression e, String sql, String words, Class<? extends Throwable> kind) { print(sql, null, true); }
        @Override public void testExpectedSqlException(String sql, String words, Class<? extends Throwable> kind) { print(sql, null, true); }
        @Override public void testExpectedTableApiException(Expression e, String words, Class<? extends Throwable> kind) { }
    }
}

//! Expressions with a cast in them, by a name of their own.
//!
//! DataFusion calls a column after its expression and leaves casts out, so that `SUM(x)` and `SUM(CAST(x AS DOUBLE))` of
//! one query would be two columns of one name. A function that does nothing gives such an argument a name with its
//! casts; the optimiser takes it away again.

use std::sync::LazyLock;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::{
    common::{Result, internal_err, tree_node::TreeNode},
    logical_expr::{
        ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        Volatility,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
};

static NAMED: LazyLock<ScalarUDF> =
    LazyLock::new(|| ScalarUDF::from(Named { signature: Signature::any(1, Volatility::Immutable) }));

/// The argument of an aggregate with its casts in its name.
pub(super) fn cast(expr: Expr) -> Expr {
    let is_cast = |expr: &Expr| Ok(matches!(expr, Expr::Cast(_) | Expr::TryCast(_)));
    if expr.exists(is_cast).unwrap_or(false) { NAMED.call(vec![expr]) } else { expr }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Named {
    signature: Signature,
}

impl ScalarUDFImpl for Named {
    fn name(&self) -> &str {
        "__named"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        match args {
            [arg] => Ok(arg.clone()),
            _ => internal_err!("a name is given to one expression"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields {
            [arg] => Ok(arg.clone()),
            _ => internal_err!("a name is given to one expression"),
        }
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(ToString::to_string).collect())
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        self.schema_name(args)
    }

    fn simplify(&self, mut args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        match args.pop() {
            Some(arg) => Ok(ExprSimplifyResult::Simplified(arg)),
            None => internal_err!("a name is given to one expression"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(arg) => Ok(arg),
            None => internal_err!("a name is given to one expression"),
        }
    }
}

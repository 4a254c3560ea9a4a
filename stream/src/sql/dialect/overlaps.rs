//! `(start, end) OVERLAPS (start, end)`, where an end may be an interval from the start: two comparisons.
//!
//! Both ends belong to a period, and one that is written backwards is turned round. With a NULL it is NULL.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};

pub(super) fn condition(left: &Expr, right: &Expr) -> Result<Expr, String> {
    let (left, right) = (period(left)?, period(right)?);
    let reaches = |one: &Period, other: &Period| compare(one.last(), BinaryOperator::GtEq, other.first());
    Ok(super::nested(Expr::BinaryOp {
        left: Box::new(reaches(&left, &right)),
        op: BinaryOperator::And,
        right: Box::new(reaches(&right, &left)),
    }))
}

struct Period {
    start: Expr,
    end: Expr,
}

impl Period {
    fn is_backwards(&self) -> Expr {
        compare(self.end.clone(), BinaryOperator::Lt, self.start.clone())
    }

    fn first(&self) -> Expr {
        super::nested(super::case(self.is_backwards(), self.end.clone(), Some(self.start.clone())))
    }

    fn last(&self) -> Expr {
        super::nested(super::case(self.is_backwards(), self.start.clone(), Some(self.end.clone())))
    }
}

fn period(side: &Expr) -> Result<Period, String> {
    let Expr::Tuple(parts) = side else {
        return Err("OVERLAPS takes two periods: (start, end) OVERLAPS (start, end)".to_owned());
    };
    match parts.as_slice() {
        [start, interval @ Expr::Interval(_)] => {
            let end = Expr::BinaryOp {
                left: Box::new(super::nested(start.clone())),
                op: BinaryOperator::Plus,
                right: Box::new(interval.clone()),
            };
            Ok(Period { start: super::nested(start.clone()), end: super::nested(end) })
        }
        [start, end] => Ok(Period { start: super::nested(start.clone()), end: super::nested(end.clone()) }),
        _ => Err("a period has a start and an end: (start, end)".to_owned()),
    }
}

fn compare(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    super::nested(Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) })
}

//! The functions of PromQL that are supported, by name.

use promql_parser::parser::{Call, Expr};

use super::evaluate::Evaluator;
use super::over_time::{self, OverTime};
use super::rates::{self, Slope};
use super::value::{Sample, Value, refuse_duplicates};
use super::{LOOKBACK_MS, QueryError, histogram, numbers, relabel, strip_parens};
use crate::traffic::history::Point;
use crate::traffic::labels::Labels;

pub(super) fn evaluate(evaluator: &mut Evaluator<'_>, call: &Call, at: i64) -> Result<Value, QueryError> {
    let arguments = Arguments(call);
    let name = call.func.name;
    if let Some(result) = over_range(evaluator, name, &arguments, at)? {
        return Ok(Value::Vector(result));
    }
    if let Some(result) = elementwise(evaluator, name, &arguments, at)? {
        return Ok(Value::Vector(result));
    }
    match name {
        "time" => Ok(Value::Scalar(seconds(at))),
        "pi" => Ok(Value::Scalar(std::f64::consts::PI)),
        "scalar" => {
            let samples = evaluator.vector(arguments.get(0)?, at)?;
            Ok(Value::Scalar(match samples.as_slice() {
                [only] => only.value,
                _ => f64::NAN,
            }))
        }
        "vector" => {
            let value = evaluator.scalar(arguments.get(0)?, at)?;
            Ok(Value::Vector(vec![Sample { labels: Labels::default(), value }]))
        }
        "timestamp" => timestamp(evaluator, arguments.get(0)?, at),
        "absent" => {
            let expr = arguments.get(0)?;
            let is_absent = evaluator.vector(expr, at)?.is_empty();
            absent(is_absent, expr)
        }
        "absent_over_time" => {
            let expr = arguments.get(0)?;
            let is_absent = evaluator.matrix(expr, at)?.series.is_empty();
            absent(is_absent, expr)
        }
        "sort" | "sort_desc" => {
            let mut samples = evaluator.vector(arguments.get(0)?, at)?;
            let descending = name == "sort_desc";
            samples.sort_by(|a, b| match (a.value.is_nan(), b.value.is_nan()) {
                (false, false) if descending => b.value.total_cmp(&a.value),
                (false, false) => a.value.total_cmp(&b.value),
                (a, b) => a.cmp(&b),
            });
            Ok(Value::Vector(samples))
        }
        "histogram_quantile" => {
            let q = evaluator.scalar(arguments.get(0)?, at)?;
            let samples = histogram::quantiles(q, evaluator.vector(arguments.get(1)?, at)?);
            refuse_duplicates(samples.iter().map(|sample| &sample.labels))?;
            Ok(Value::Vector(samples))
        }
        "label_replace" => {
            let samples = evaluator.vector(arguments.get(0)?, at)?;
            let texts = [arguments.text(1)?, arguments.text(2)?, arguments.text(3)?, arguments.text(4)?];
            Ok(Value::Vector(relabel::replace(samples, texts)?))
        }
        "label_join" => {
            let samples = evaluator.vector(arguments.get(0)?, at)?;
            let from: Vec<&str> = (3..call.args.len()).map(|place| arguments.text(place)).collect::<Result<_, _>>()?;
            Ok(Value::Vector(relabel::join(samples, arguments.text(1)?, arguments.text(2)?, &from)?))
        }
        _ => Err(QueryError::Execution(format!("function {name} is not supported"))),
    }
}

struct Arguments<'a>(&'a Call);

impl<'a> Arguments<'a> {
    fn get(&self, place: usize) -> Result<&'a Expr, QueryError> {
        self.0
            .args
            .args
            .get(place)
            .map(AsRef::as_ref)
            .ok_or_else(|| QueryError::BadData(format!("too few arguments in call to {}", self.0.func.name)))
    }

    fn text(&self, place: usize) -> Result<&'a str, QueryError> {
        match strip_parens(self.get(place)?) {
            Expr::StringLiteral(text) => Ok(&text.val),
            _ => Err(QueryError::BadData(format!("argument {} of {} must be a string", place + 1, self.0.func.name))),
        }
    }
}

/// Functions that make one value of each series of a range vector; `None` for any other function.
fn over_range(
    evaluator: &mut Evaluator<'_>,
    name: &str,
    arguments: &Arguments<'_>,
    at: i64,
) -> Result<Option<Vec<Sample>>, QueryError> {
    let over_time = match name {
        "avg_over_time" => Some(OverTime::Avg),
        "sum_over_time" => Some(OverTime::Sum),
        "min_over_time" => Some(OverTime::Min),
        "max_over_time" => Some(OverTime::Max),
        "count_over_time" => Some(OverTime::Count),
        "last_over_time" => Some(OverTime::Last),
        "present_over_time" => Some(OverTime::Present),
        "stddev_over_time" => Some(OverTime::StdDev),
        "stdvar_over_time" => Some(OverTime::StdVar),
        "quantile_over_time" => Some(OverTime::Quantile(evaluator.scalar(arguments.get(0)?, at)?)),
        "rate" | "increase" | "delta" | "irate" | "idelta" | "resets" | "changes" => None,
        _ => return Ok(None),
    };
    let place = usize::from(name == "quantile_over_time");
    let mut window = evaluator.matrix(arguments.get(place)?, at)?;
    let series = std::mem::take(&mut window.series);
    let value_of = |points: &[Point]| match (over_time, name) {
        (Some(ask), _) => over_time::evaluate(points, ask),
        (_, "rate") => rates::extrapolated(points, &window, Slope::Rate),
        (_, "increase") => rates::extrapolated(points, &window, Slope::Increase),
        (_, "delta") => rates::extrapolated(points, &window, Slope::Delta),
        (_, "irate") => rates::instantaneous(points, true),
        (_, "idelta") => rates::instantaneous(points, false),
        (_, "resets") => Some(rates::resets(points)),
        _ => Some(rates::changes(points)),
    };
    // Series of one name differ in their other labels.
    let has_one_name = selects_one_name(arguments.get(place)?);
    let mut result: Vec<Sample> = Vec::with_capacity(series.len());
    for one in &series {
        if let Some(value) = value_of(&one.points) {
            let labels = match name {
                "last_over_time" => one.labels.clone(),
                _ if has_one_name => one.labels.without_name(),
                _ => evaluator.without_name(std::ptr::from_ref(arguments.0) as usize, &one.labels)?,
            };
            result.push(Sample { labels, value });
        }
    }
    Ok(Some(result))
}

fn selects_one_name(expr: &Expr) -> bool {
    matches!(strip_parens(expr), Expr::MatrixSelector(selector) if selector.vs.name.is_some())
}

/// Functions of each element's value; `None` for any other function.
fn elementwise(
    evaluator: &mut Evaluator<'_>,
    name: &str,
    arguments: &Arguments<'_>,
    at: i64,
) -> Result<Option<Vec<Sample>>, QueryError> {
    let function: Box<dyn Fn(f64) -> f64> = match name {
        "abs" => Box::new(f64::abs),
        "ceil" => Box::new(f64::ceil),
        "floor" => Box::new(f64::floor),
        "exp" => Box::new(f64::exp),
        "sqrt" => Box::new(f64::sqrt),
        "ln" => Box::new(f64::ln),
        "log2" => Box::new(f64::log2),
        "log10" => Box::new(f64::log10),
        "sgn" => Box::new(|value| {
            if value < 0.0 {
                -1.0
            } else if value > 0.0 {
                1.0
            } else {
                value
            }
        }),
        "round" => {
            let to = if arguments.0.args.len() > 1 { evaluator.scalar(arguments.get(1)?, at)? } else { 1.0 };
            let inverse = 1.0 / to;
            Box::new(move |value| (value * inverse + 0.5).floor() / inverse)
        }
        "clamp_min" => {
            let least = evaluator.scalar(arguments.get(1)?, at)?;
            Box::new(move |value| numbers::max(least, value))
        }
        "clamp_max" => {
            let most = evaluator.scalar(arguments.get(1)?, at)?;
            Box::new(move |value| numbers::min(most, value))
        }
        "clamp" => {
            let least = evaluator.scalar(arguments.get(1)?, at)?;
            let most = evaluator.scalar(arguments.get(2)?, at)?;
            if most < least {
                // What is wrong with the vector is still an error.
                evaluator.vector(arguments.get(0)?, at)?;
                return Ok(Some(Vec::new()));
            }
            Box::new(move |value| numbers::max(least, numbers::min(most, value)))
        }
        _ => return Ok(None),
    };
    let result: Vec<Sample> = evaluator
        .vector(arguments.get(0)?, at)?
        .into_iter()
        .map(|sample| Sample { labels: sample.labels.without_name(), value: function(sample.value) })
        .collect();
    refuse_duplicates(result.iter().map(|sample| &sample.labels))?;
    Ok(Some(result))
}

/// When each element was sampled: for a plain selector the sample's own moment, else the evaluation's. Where the selector
/// has an `@`, Prometheus looks back from where it stands before its offset.
fn timestamp(evaluator: &mut Evaluator<'_>, expr: &Expr, at: i64) -> Result<Value, QueryError> {
    let stamped: Vec<(Labels, i64)> = match strip_parens(expr) {
        Expr::VectorSelector(selector) => {
            let moment = evaluator.moment(at, selector.at.as_ref(), selector.offset.as_ref());
            let found = if selector.at.is_some() {
                let before_offset = evaluator.moment(at, selector.at.as_ref(), None);
                evaluator.instant(selector, moment.min(before_offset), before_offset - LOOKBACK_MS)?
            } else {
                evaluator.instant(selector, moment, moment - LOOKBACK_MS)?
            };
            found.into_iter().map(|(sample, moment)| (sample.labels, moment)).collect()
        }
        other => evaluator.vector(other, at)?.into_iter().map(|sample| (sample.labels, at)).collect(),
    };
    let samples: Vec<Sample> = stamped
        .into_iter()
        .map(|(labels, moment)| Sample { labels: labels.without_name(), value: seconds(moment) })
        .collect();
    refuse_duplicates(samples.iter().map(|sample| &sample.labels))?;
    Ok(Value::Vector(samples))
}

fn absent(is_absent: bool, expr: &Expr) -> Result<Value, QueryError> {
    if !is_absent {
        return Ok(Value::Vector(Vec::new()));
    }
    let labels = relabel::demanded_labels(strip_parens(expr))?;
    Ok(Value::Vector(vec![Sample { labels, value: 1.0 }]))
}

fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}

//! What both evaluators are asked: every function, aggregation and operator over the series of `series`, written by hand
//! where the edge is known, and put together at random where it is not.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// Functions of PromQL that ours does not have. It must refuse them by name.
pub const REFUSED: &[&str] = &[
    "deriv(temperature[2m])",
    "predict_linear(temperature[2m], 60)",
    "holt_winters(temperature[2m], 0.5, 0.5)",
    "count_values(\"value\", pod_info)",
    "histogram_count(latency_seconds_count)",
    "histogram_sum(latency_seconds_count)",
    "histogram_fraction(0, 1, latency_seconds_count)",
    "day_of_month(lonely)",
    "day_of_week(lonely)",
    "day_of_year(lonely)",
    "days_in_month(lonely)",
    "hour(lonely)",
    "minute(lonely)",
    "month(lonely)",
    "year(lonely)",
    "year()",
    "acos(temperature)",
    "acosh(temperature)",
    "asin(temperature)",
    "asinh(temperature)",
    "atan(temperature)",
    "atanh(temperature)",
    "cos(temperature)",
    "cosh(temperature)",
    "sin(temperature)",
    "sinh(temperature)",
    "tan(temperature)",
    "tanh(temperature)",
    "deg(temperature)",
    "rad(temperature)",
    // Of later versions.
    "mad_over_time(temperature[2m])",
    "sort_by_label(temperature, \"room\")",
    "sort_by_label_desc(temperature, \"room\")",
    "double_exponential_smoothing(temperature[2m], 0.5, 0.5)",
    "limitk(2, temperature)",
    "limit_ratio(0.5, temperature)",
    "info(temperature)",
    "ts_of_max_over_time(temperature[2m])",
    "histogram_avg(latency_seconds_count)",
    "histogram_stddev(latency_seconds_count)",
];

/// What no evaluator can make sense of.
pub const NONSENSE: &[&str] = &[
    "",
    "sum(",
    "temperature[5m",
    "temperature[]",
    "temperature[0s]",
    "temperature[-5m]",
    "temperature[5]",
    "temperature[5m5m]",
    "temperature[1m5h]",
    "temperature[5m] offset",
    "temperature offset 5",
    "temperature offset -5",
    "temperature[5m:5]",
    "temperature{room}",
    "temperature{room=hall}",
    "temperature{room=~\"(\"}",
    "temperature{,}",
    "{}",
    "{room=\"\"}",
    "{room=~\".*\"}",
    "{room!=\"hall\"}",
    "temperature{__name__=\"x\"}",
    "rate(temperature)",
    "abs(temperature[5m])",
    "abs()",
    "abs(1)",
    "round(temperature, 1, 2)",
    "scalar(1)",
    "vector(temperature)",
    "nothing_such(temperature)",
    "sum(temperature[1m])",
    "sum(1)",
    "topk(temperature)",
    "topk(temperature, 3)",
    "sum(3, temperature)",
    "1 == 2",
    "1 and 2",
    "temperature and 1",
    "\"a\" + 1",
    "temperature + bool temperature",
    "temperature + on(room) group_left() group_right() temperature",
    "temperature and on(room) group_left() temperature",
    "sum by (room, temperature",
    "time()[5m:1m]",
    "temperature[1m:10s][1m:10s]",
];

/// Expressions that give an instant vector.
const VECTORS: &[&str] = &[
    "requests_total",
    "requests_total{code!~\"5..\",pod=~\"a|c\"}",
    "memory_bytes",
    "cpu_seconds_total",
    "temperature",
    "temperature{room=\"hall\"}",
    "odd",
    "odd{kind=~\"mixed|zeros|steps\"}",
    "odd{kind=\"tiny\"}",
    "pod_info",
    "lonely",
    "nothing",
    "latency_seconds_bucket{le=\"0.5\"}",
    "text{text!=\"\"}",
    "temperature offset 1m",
    "temperature offset -45s",
    "temperature @ 1700000300",
    "temperature @ end() offset 30s",
    "-memory_bytes",
    "vector(3)",
    "requests_total{pod=\"b\"} @ start()",
    "{__name__=~\"early_total|late_total\"}",
];

/// Expressions that give a range vector.
const MATRICES: &[&str] = &[
    "requests_total[1m]",
    "requests_total[3m]",
    "requests_total{pod=\"b\"}[20m]",
    "cpu_seconds_total[2m]",
    "memory_bytes[90s]",
    "temperature[1s]",
    "temperature[20s]",
    "temperature[15s]",
    "temperature[4m] offset 2m",
    "temperature[2m] @ 1700000400",
    "odd[75s]",
    "lonely[10m]",
    "nothing[5m]",
    "temperature[5m:20s]",
    "rate(requests_total[1m])[3m:]",
    "{__name__=~\"early_total|late_total\"}[2m]",
];

const ELEMENTWISE: &[&str] = &["abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "round"];

const OF_RANGES: &[&str] = &[
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "resets",
    "changes",
    "avg_over_time",
    "sum_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "last_over_time",
    "present_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "absent_over_time",
];

const AGGREGATIONS: &[&str] = &["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];

const ARITHMETIC: &[&str] = &["+", "-", "*", "/", "%", "^", "atan2"];

const COMPARISONS: &[&str] = &["==", "!=", ">", "<", ">=", "<="];

/// Edges that are known.
const BY_HAND: &[&str] = &[
    // selectors
    "{__name__=\"temperature\"}",
    "{__name__=~\"temp.*\",room!=\"hall\"}",
    "{room=~\".+\"}",
    "temperature{room=\"\"}",
    "temperature{nothing=\"\"}",
    "temperature{nothing!=\"\"}",
    "temperature{nothing!~\".+\"}",
    "temperature{room=~\"hall|study\",room!~\"st.*\"}",
    "temperature{room=~\"all\"}",
    "temperature{room=~\"\"}",
    "text{text=\"a.b\"}",
    "text{text=\"a\\\"b\\\\c\\nd\"}",
    "text{text=~\"a.b\"}",
    "text{text=~\"a.*d\"}",
    "text{text=~`a\\.b`}",
    "text{text=~\"[[:alpha:]].*\"}",
    "text{text=~\"\\\\d+\"}",
    "text{text=~\".* \\\\d\"}",
    "text{text=~\"\\\\w+ .\"}",
    "text{text=~\".{1,3}\"}",
    "text{text=~\"(?i)A\\\\.B\"}",
    "text{text=~\"ü.*\"}",
    "text{text=~\"(?P<first>a).b\"}",
    "text{text=~\"\\\\$1\"}",
    "text{text=~\"a{\"}",
    "text{text!~\"a.b|10\"}",
    "temperature offset 7m",
    "temperature offset -2m",
    "temperature @ 1700000100.5",
    "temperature @ 1700000100 offset 30s",
    "temperature offset 30s @ 1700000100",
    "temperature @ -1",
    "requests_total{pod=\"c\"} offset 5m",
    "{__name__=\"a\",__name__=\"\"}",
    // ranges at the top
    "temperature[1m]",
    "temperature[1m] offset 1m",
    "odd[45s]",
    "requests_total{pod=\"b\",code=\"200\"}[10m]",
    "temperature[2m:30s]",
    "sum by (pod) (requests_total)[2m:17s] offset 10s",
    "temperature[2m:30s] @ 1700000200",
    "(temperature[30s])",
    // numbers, texts
    "1",
    "-1",
    "+1",
    "0x1F",
    "1e3",
    ".5",
    "Inf",
    "-Inf",
    "NaN",
    "inf + 1",
    "\"text\"",
    "'te\"xt'",
    "`te\\xt`",
    "1 + 2 * 3 ^ 2 ^ 0.5 % 4 - -1",
    "-2 ^ 2",
    "(-2) ^ 2",
    "2 ^ -1",
    "5 % 3",
    "-5 % 3",
    "5 % -3",
    "5 % 0",
    "5 / 0",
    "0 / 0",
    "1 atan2 -1",
    "1 == bool 1",
    "NaN == bool NaN",
    "NaN != bool NaN",
    "pi() * 2",
    "time()",
    "time() - 1700000000",
    "# a comment\n1",
    // unary
    "+temperature",
    "-temperature",
    "-odd",
    "--temperature",
    "-(temperature > 0)",
    "-{__name__=~\"twin_total|other_twin_total\"}",
    "sum(-{__name__=~\"twin_total|other_twin_total\"})",
    "-{__name__=~\"early_total|late_total\"}",
    "sum(-{__name__=~\"early_total|late_total\"})",
    // names that go away
    "rate({__name__=~\"twin_total|other_twin_total\"}[1m])",
    "sum(rate({__name__=~\"twin_total|other_twin_total\"}[1m]))",
    "last_over_time({__name__=~\"twin_total|other_twin_total\"}[1m])",
    "abs({__name__=~\"twin_total|other_twin_total\"})",
    "{__name__=~\"twin_total|other_twin_total\"} + 1",
    "{__name__=~\"twin_total|other_twin_total\"} > 1",
    "{__name__=~\"twin_total|other_twin_total\"} > bool 1",
    "sum({__name__=~\"twin_total|other_twin_total\"} * 2)",
    "sum without (pod) ({__name__=~\"twin_total|other_twin_total\"})",
    "sum by (__name__) ({__name__=~\"twin_total|other_twin_total\"})",
    "max by (__name__, pod) (requests_total)",
    "timestamp({__name__=~\"twin_total|other_twin_total\"})",
    "label_replace({__name__=~\"twin_total|other_twin_total\"}, \"__name__\", \"one\", \"\", \"\")",
    "label_replace({__name__=~\"twin_total|other_twin_total\"}, \"pod\", \"$1\", \"__name__\", \"(.*)_total\")",
    "rate({__name__=~\"early_total|late_total\"}[8m])",
    "count_over_time((rate({__name__=~\"early_total|late_total\"}[1m]))[20m:1m])",
    "count_over_time((abs({__name__=~\"early_total|late_total\"}))[20m:1m])",
    // histograms
    "histogram_quantile(0.9, broken_bucket)",
    "histogram_quantile(0.5, broken_bucket)",
    "histogram_quantile(0, broken_bucket)",
    "histogram_quantile(1, broken_bucket)",
    "histogram_quantile(-0.1, broken_bucket)",
    "histogram_quantile(1.1, broken_bucket)",
    "histogram_quantile(NaN, broken_bucket)",
    "histogram_quantile(0.9, latency_seconds_bucket)",
    "histogram_quantile(0.99, sum by (le) (rate(latency_seconds_bucket[1m])))",
    "histogram_quantile(0.5, rate(latency_seconds_bucket[2m]))",
    "histogram_quantile(0.75, sum by (le, pod) (increase(latency_seconds_bucket[5m])))",
    "histogram_quantile(0.9, {__name__=~\"broken_bucket|other_bucket\",case=\"whole\"})",
    "sum(histogram_quantile(0.9, {__name__=~\"broken_bucket|other_bucket\",case=\"whole\"}))",
    "histogram_quantile(0.9, temperature)",
    "histogram_quantile(scalar(lonely), latency_seconds_bucket)",
    "rate(latency_seconds_sum[2m]) / rate(latency_seconds_count[2m])",
    // functions with more arguments
    "round(temperature, 0.25)",
    "round(odd, 0)",
    "round(odd, -2)",
    "round(odd, NaN)",
    "clamp(odd, -1, 1)",
    "clamp(odd, 1, -1)",
    "clamp(odd, NaN, 1)",
    "clamp(odd, -1, NaN)",
    "clamp_min(odd, 0)",
    "clamp_min(odd, NaN)",
    "clamp_max(odd, 0)",
    "clamp_max(odd, Inf)",
    "scalar(temperature)",
    "scalar(temperature{room=\"hall\"})",
    "scalar(nothing)",
    "vector(time())",
    "timestamp(temperature)",
    "timestamp((temperature offset 1m))",
    "timestamp(temperature @ 1700000100)",
    "timestamp(temperature @ 1700000500 offset 30s)",
    "timestamp(temperature @ end() offset 30s)",
    "timestamp(temperature @ 1700000500 offset -30s)",
    "timestamp(-temperature)",
    "timestamp(temperature + 0)",
    "absent(nothing{a=\"b\",c=~\"d\",e!=\"f\"})",
    "absent(nothing{a=\"b\",a=\"c\"})",
    "absent(nothing{a=\"b\",a=~\"c\"})",
    "absent(nothing{a=~\"c\",a=\"b\"})",
    "absent(nothing{a=\"b\",a!=\"c\",d=\"e\"})",
    "absent((nothing{a=\"b\"}))",
    "absent(sum(nothing{a=\"b\"}))",
    "absent(nothing{a=\"b\"} @ 5)",
    "absent(lonely)",
    "absent_over_time(nothing{a=\"b\"}[1m])",
    "absent_over_time(lonely[10m])",
    "absent_over_time(nothing{a=\"b\"}[1m:10s])",
    "absent_over_time({a=\"b\",__name__=\"nothing\"}[1m] offset 1m)",
];

/// More edges that are known: those of two sides.
const BY_HAND_OF_TWO: &[&str] = &[
    "label_replace(text, \"first\", \"$1\", \"text\", \"(.).*\")",
    "label_replace(text, \"first\", \"$0-${1}x$$\", \"text\", \"(?s)(.).*\")",
    "label_replace(text, \"first\", \"$1x\", \"text\", \"(.).*\")",
    "label_replace(text, \"first\", \"$name$missing$\", \"text\", \"(?P<name>.).*\")",
    "label_replace(text, \"text\", \"\", \"text\", \".*\")",
    "label_replace(text, \"first\", \"found\", \"missing\", \"\")",
    "label_replace(text, \"first\", \"found\", \"missing\", \".+\")",
    "label_replace(text, \"first\", \"$1\", \"text\", \"(\\\\d+)\")",
    "label_replace(text, \"first\", \"$1\", \"text\", \"(\\\\pL).*\")",
    "label_replace(text, \"a-b\", \"\", \"text\", \".*\")",
    "label_replace(text, \"first\", \"\", \"text\", \"(\")",
    "label_replace(text, \"n\", \"\", \"n\", \".*\")",
    "label_replace(text, `first`, `$1`, `text`, `(\\w).*`)",
    "label_replace(text, \"first\", \"$1\", \"text\", \"[^\\\\W]*([[:ascii:]]).*\")",
    "text{text=~`[\\w.&&]+`}",
    "label_replace(temperature, \"room\", \"one\", \"room\", \".*\")",
    "label_replace(temperature, \"__name__\", \"heat\", \"room\", \".*\")",
    "label_replace(nothing, \"room\", \"one\", \"room\", \".*\")",
    "label_join(memory_bytes, \"place\", \"-\", \"zone\", \"pod\")",
    "label_join(memory_bytes, \"place\", \"-\", \"missing\", \"pod\", \"missing\")",
    "label_join(memory_bytes, \"place\", \"\")",
    "label_join(memory_bytes, \"zone\", \"/\", \"zone\")",
    "label_join(memory_bytes, \"pod\", \"-\", \"zone\")",
    "label_join(memory_bytes, \"a-b\", \"-\", \"zone\")",
    "sort(temperature)",
    "sort_desc(temperature)",
    "sort(odd)",
    "sort_desc(odd)",
    "quantile_over_time(0.3, temperature[2m])",
    "quantile_over_time(0.5, odd[2m])",
    "quantile_over_time(2, temperature[2m])",
    "quantile_over_time(-1, temperature[2m])",
    "quantile_over_time(NaN, temperature[2m])",
    "quantile_over_time(scalar(lonely), temperature[2m])",
    "topk(2, temperature)",
    "bottomk(2, temperature)",
    "topk by (zone) (1, memory_bytes)",
    "bottomk without (pod) (1, memory_bytes)",
    "topk(0, temperature)",
    "topk(-1, temperature)",
    "topk(1.9, temperature)",
    "topk(100, odd)",
    "topk(NaN, temperature)",
    "topk(Inf, temperature)",
    "topk(scalar(lonely), temperature)",
    "quantile(0.4, temperature)",
    "quantile by (zone) (0.9, memory_bytes)",
    "quantile(0.5, odd)",
    "quantile(NaN, temperature)",
    "quantile(-3, temperature)",
    "quantile(1, memory_bytes)",
    "sum(odd{kind=~\"inf|negative inf\"})",
    "avg(odd{kind=~\"inf|negative inf\"})",
    "avg(odd{kind=\"huge\"})",
    "stddev(odd{kind=\"nan\"})",
    "stddev by (kind) (odd)",
    "stdvar by (kind) (odd)",
    "min by (kind) (odd)",
    "max(odd)",
    "min(odd)",
    "sum by (nothing) (temperature)",
    "sum without (nothing) (temperature)",
    "sum by (pod, pod) (requests_total)",
    "sum by () (temperature)",
    "sum without () (requests_total)",
    "max without (le) (latency_seconds_bucket)",
    "requests_total / ignoring(code) group_left requests_total{code=\"200\"}",
    "requests_total{code=\"500\"} / ignoring(code) requests_total{code=\"200\"}",
    "requests_total{code=\"500\"} / on(pod) requests_total{code=\"200\"}",
    "requests_total * on(pod) group_left(version, node) pod_info",
    "pod_info * on(pod) group_right(version) requests_total",
    "requests_total > on(pod) group_left(version) pod_info",
    "pod_info < bool on(pod) group_right(version) requests_total",
    "requests_total * on(pod) group_left(code) pod_info",
    "requests_total + on(zone) requests_total",
    "requests_total + on(zone) group_left memory_bytes",
    "sum by (pod) (requests_total) > on(pod) (memory_bytes / 1e6)",
    "requests_total == requests_total",
    "requests_total == ignoring(zone) requests_total",
    "requests_total == on(pod, code) requests_total",
    "requests_total == on(__name__, pod, code) requests_total",
    "temperature - temperature offset 1m",
    "(temperature > 0) or (temperature < 0)",
    "temperature > temperature offset 1m",
    "odd / odd",
];

/// All that is written by hand or follows from the lists.
pub fn listed() -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    all.extend(BY_HAND.iter().chain(BY_HAND_OF_TWO).chain(VECTORS).map(ToString::to_string));
    for function in ELEMENTWISE {
        all.extend(
            ["temperature", "odd", "memory_bytes", "{__name__=~\"early_total|late_total\"}"]
                .map(|vector| format!("{function}({vector})")),
        );
    }
    for matrix in MATRICES {
        all.extend(OF_RANGES.iter().map(|function| format!("{function}({matrix})")));
    }
    for aggregation in AGGREGATIONS {
        all.extend(
            ["requests_total", "odd", "temperature", "pod_info", "{__name__=~\"early_total|late_total\"}", "nothing"]
                .map(|vector| format!("{aggregation}({vector})")),
        );
        all.push(format!("{aggregation} by (pod) (requests_total)"));
        all.push(format!("{aggregation} without (code, zone) (rate(requests_total[2m]))"));
        all.push(format!("{aggregation}(odd) by (kind)"));
    }
    for operator in ARITHMETIC.iter().chain(COMPARISONS) {
        all.push(format!("odd {operator} 2"));
        all.push(format!("2 {operator} odd"));
        all.push(format!("odd {operator} on() group_left odd{{kind=\"mixed\"}}"));
        all.push(format!("requests_total {operator} requests_total offset 1m"));
        all.push(format!("requests_total {operator} on(pod) group_left memory_bytes"));
        all.push(format!("memory_bytes {operator} on(pod) group_right(zone) requests_total"));
        all.push(format!("temperature {operator} ignoring(room) temperature{{room=\"hall\"}}"));
        all.push(format!("temperature {operator} nothing"));
    }
    for operator in COMPARISONS {
        all.push(format!("odd {operator} bool 2"));
        all.push(format!("2 {operator} bool odd"));
        all.push(format!("2 {operator} bool 2"));
        all.push(format!("requests_total {operator} bool requests_total offset 1m"));
        all.push(format!("sum by (pod) (requests_total) {operator} bool on(pod) memory_bytes"));
    }
    for operator in ["and", "or", "unless"] {
        for matching in
            ["", "on(pod)", "on()", "ignoring(code)", "ignoring(version, node, code, zone)", "on(pod, missing)"]
        {
            all.push(format!("requests_total {operator} {matching} pod_info"));
            all.push(format!("pod_info {operator} {matching} requests_total"));
            all.push(format!("requests_total {operator} {matching} nothing"));
            all.push(format!("nothing {operator} {matching} memory_bytes"));
        }
    }
    all
}

/// So many expressions put together at random; the same for the same seed.
pub fn invented(seed: u64, count: usize) -> Vec<String> {
    let mut inventor = Inventor { random: Pcg64::seed_from_u64(seed) };
    (0..count).map(|_| inventor.vector(3)).collect()
}

struct Inventor {
    random: Pcg64,
}

impl Inventor {
    fn one_of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.random.random_range(0..list.len())]
    }

    fn labels(&mut self) -> String {
        let count = self.random.random_range(0..3);
        (0..count)
            .map(|_| self.one_of(&["pod", "zone", "code", "room", "kind", "missing"]))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn scalar(&mut self, depth: usize) -> String {
        match self.random.random_range(0..if depth == 0 { 2 } else { 5 }) {
            0 => self.one_of(&["2", "-1.5", "0", "1e6", "0.5", "Inf", "NaN"]).to_string(),
            1 => self.one_of(&["time()", "pi()", "scalar(lonely)", "scalar(temperature{room=\"hall\"})"]).to_string(),
            2 => format!("-({})", self.scalar(depth - 1)),
            3 => format!("scalar({})", self.vector(depth - 1)),
            _ => {
                let (left, right) = (self.scalar(depth - 1), self.scalar(depth - 1));
                format!("({left} {} {right})", self.one_of(ARITHMETIC))
            }
        }
    }

    fn matrix(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.random() {
            return self.one_of(MATRICES).to_string();
        }
        let window = self.one_of(&["[1m:10s]", "[3m:]", "[45s:7s]", "[2m:15s] offset 1m", "[1m:20s] @ 1700000500"]);
        format!("({}){window}", self.vector(depth - 1))
    }

    fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.one_of(VECTORS).to_string();
        }
        let less = depth - 1;
        match self.random.random_range(0..12) {
            0 => self.one_of(VECTORS).to_string(),
            1 => format!("{}({})", self.one_of(ELEMENTWISE), self.vector(less)),
            2 | 3 => format!("{}({})", self.one_of(OF_RANGES), self.matrix(less)),
            4 => {
                let grouping = self.one_of(&["by", "without"]);
                format!("{} {grouping} ({}) ({})", self.one_of(AGGREGATIONS), self.labels(), self.vector(less))
            }
            5 => format!("{}({})", self.one_of(AGGREGATIONS), self.vector(less)),
            6 => {
                let operators: Vec<&str> = ARITHMETIC.iter().chain(COMPARISONS).copied().collect();
                let operator = self.one_of(&operators);
                let (vector, scalar) = (self.vector(less), self.scalar(less));
                if self.random.random() {
                    format!("({vector}) {operator} ({scalar})")
                } else {
                    format!("({scalar}) {operator} ({vector})")
                }
            }
            7 | 8 => {
                let comparison = self.one_of(COMPARISONS);
                let with_bool = format!("{comparison} bool");
                let operators: Vec<&str> =
                    ARITHMETIC.iter().copied().chain([comparison, &with_bool, "and", "or", "unless"]).collect();
                let operator = self.one_of(&operators).to_string();
                let matching = match self.random.random_range(0..3) {
                    0 => String::new(),
                    1 => format!("on({})", self.labels()),
                    _ => format!("ignoring({})", self.labels()),
                };
                let is_of_sets = matches!(operator.as_str(), "and" | "or" | "unless");
                let group = match self.random.random_range(0..3) {
                    _ if is_of_sets || matching.is_empty() => "",
                    0 => "group_left",
                    1 => "group_right(zone)",
                    _ => "",
                };
                let (left, right) = (self.vector(less), self.vector(less));
                format!("({left}) {operator} {matching} {group} ({right})")
            }
            9 => {
                let (function, scalar) = (self.one_of(&["clamp_min", "clamp_max", "round"]), self.scalar(less));
                format!("{function}({}, {scalar})", self.vector(less))
            }
            10 => format!("-({})", self.vector(less)),
            _ => format!("{}({})", self.one_of(&["absent", "timestamp", "sort", "vector(1) or "]), self.vector(less)),
        }
    }
}

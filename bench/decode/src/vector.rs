//! What Vector runs for a line: a program of its language VRL 0.38, which makes of the line what MUTT
//! makes of it as nearly as its functions go. The line is given as it is, not as an event, and the
//! result is taken as it is, not put into one: Vector itself does more.

use std::hint::black_box;

use vrl::compiler::runtime::Runtime;
use vrl::compiler::{Program, TargetValue, TimeZone};
use vrl::value::{Secrets, Value};

use crate::patterns;

/// The program for the line of this name; with SHOW in the environment, program and result are printed.
pub(crate) fn of(name: &str, line: &str) -> impl Fn() + use<> {
    let source = source(name, line);
    let program = compile(&source);
    let mut target = TargetValue {
        value: Value::from(line),
        metadata: Value::Object(Default::default()),
        secrets: Secrets::default(),
    };
    let mut runtime = Runtime::default();
    let zone = TimeZone::default();
    let first = runtime.resolve(&mut target, &program, &zone).expect("a line of the program");
    if std::env::var_os("SHOW").is_some() {
        println!("{source}\n  {first}");
    }
    let state = std::cell::RefCell::new((runtime, target));
    move || {
        let (runtime, target) = &mut *state.borrow_mut();
        runtime.clear();
        assert!(black_box(runtime.resolve(target, &program, &zone)).is_ok());
    }
}

fn compile(source: &str) -> Program {
    match vrl::compiler::compile(source, &vrl::stdlib::all()) {
        Ok(done) => done.program,
        Err(errors) => panic!("{source}: {errors:?}"),
    }
}

fn source(name: &str, line: &str) -> String {
    let behind = |mark: &str| {
        let at = line.find(mark).expect("the mark of the message");
        format!("slice!(string!(.), {at})")
    };
    let header = "header = parse_syslog!(string!(.))\n";
    match name {
        "fortinet" => format!("parse_key_value!({})", behind("date=")),
        "sonicwall" => format!("parse_key_value!({})", behind("id=")),
        "key-value" => format!("{header}[header, parse_key_value!({})]", behind("time=")),
        "paloalto" | "paloalto traffic" => {
            format!("{header}[header, parse_csv!({})]", behind("1,2"))
        }
        "cef" | "cef long" => format!("{header}[header, parse_cef!({})]", behind("CEF:")),
        "json" => format!("{header}[header, parse_json!({})]", behind("{")),
        "leef" => {
            let text = behind("cat=");
            format!("{header}[header, parse_key_value!({text}, field_delimiter: \"\\t\")]")
        }
        "http json record" => "parse_json!(string!(.))".to_owned(),
        "f5-asm" => {
            let text = behind("attack_type");
            format!("{header}[header, parse_key_value!({text}, field_delimiter: \",\")]")
        }
        "checkpoint" => {
            let text = behind("action:");
            format!(
                "{header}[header, parse_key_value!({text}, key_value_delimiter: \":\", field_delimiter: \";\")]"
            )
        }
        _ => match patterns::source(name) {
            Some(pattern) => {
                let time = match patterns::time(name) {
                    // Those without a zone.
                    patterns::Time::Iso if name == "netscreen" => {
                        "parse_timestamp!(found.start_time, \"%F %T\")"
                    }
                    patterns::Time::Iso if name == "hpe-comware" => {
                        "parse_timestamp!(found.time, \"%FT%T\")"
                    }
                    patterns::Time::Iso => "parse_timestamp!(found.time, \"%+\")",
                    patterns::Time::Months => {
                        "parse_timestamp!(\"2026 \" + string!(found.time), \"%Y %b %e %T%.f\")"
                    }
                    patterns::Time::Years => "parse_timestamp!(found.time, \"%b %e %Y %T%.f\")",
                };
                format!("found = parse_grok!(string!(.), s'{pattern}')\n[found, {time}]")
            }
            // What is no syslog stays as it is.
            None => "parse_syslog(string!(.)) ?? .".to_owned(),
        },
    }
}

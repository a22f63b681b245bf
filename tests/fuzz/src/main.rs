//! `hearth-fuzz TARGET [SECONDS [NUMBER]]` runs one target for some time (60 s). The same NUMBER
//! gives the same inputs. What breaks a rule is kept in a file, and `hearth-fuzz TARGET FILE` runs it.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hearth_fuzz::mutate::Pool;
use hearth_fuzz::{ALL, Target};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let target = words.first().and_then(|name| ALL.iter().find(|target| target.name == *name));
    let Some(target) = target else {
        let names: Vec<_> = ALL.iter().map(|target| target.name).collect();
        eprintln!("hearth-fuzz TARGET [SECONDS [NUMBER] | FILE]; targets: {}", names.join(" "));
        return ExitCode::from(2);
    };
    match words.get(1).map(|word| word.parse()) {
        None => fuzz(target, 60, 1),
        Some(Ok(seconds)) => {
            fuzz(target, seconds, words.get(2).and_then(|n| n.parse().ok()).unwrap_or(1))
        }
        Some(Err(_)) => replay(target, Path::new(&words[1])),
    }
}

fn fuzz(target: &Target, seconds: u64, number: u64) -> ExitCode {
    let (began, mut pool) = (Instant::now(), Pool::new(target.seeds, number));
    let (mut rounds, mut taken) = (0u64, 0u64);
    while began.elapsed() < Duration::from_secs(seconds) {
        let input = pool.draw();
        let run = target.run;
        let Ok(is_taken) = catch_unwind(|| run(&input)) else {
            let file = format!("crash-{}-{number}-{rounds}", target.name);
            return match fs::write(&file, &input) {
                Ok(()) => failure(&format!("{file} breaks a rule; see above")),
                Err(error) => failure(&format!("{file}: {error}; the input was {input:?}")),
            };
        };
        rounds += 1;
        taken += u64::from(is_taken);
        pool.learn(input, is_taken);
    }
    println!("{}: {rounds} inputs, {taken} of them accepted, no rule broken", target.name);
    ExitCode::SUCCESS
}

fn replay(target: &Target, file: &Path) -> ExitCode {
    match fs::read(file) {
        Ok(input) => {
            println!("accepted: {}", (target.run)(&input));
            ExitCode::SUCCESS
        }
        Err(error) => failure(&format!("{}: {error}", file.display())),
    }
}

fn failure(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}

//! `plamatio generate`: traffic to a file or to Kafka.

use std::{
    fs::File,
    io::{BufWriter, Write},
    time::Duration,
};

use anyhow::Context;
use chrono::Utc;
use events::{
    generate::{Generated, Generator, GeneratorConfig, Summary},
    topic::Topic,
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    cli::{GenerateArgs, SummaryFormat},
    produce::{self, KafkaProducer},
};

/// Makes traffic.
pub(crate) async fn generate(args: GenerateArgs) -> anyhow::Result<()> {
    let config = GeneratorConfig {
        seed: args.seed,
        start: if args.rate.is_some() { Utc::now() } else { args.start },
        events: Some(args.events),
        events_per_second: args.rate.unwrap_or(args.event_rate),
        products: args.products,
        max_disorder: args.disorder,
        late_share: args.late,
        duplicate_share: args.duplicates,
        malformed_share: args.malformed,
        ..GeneratorConfig::default()
    };
    let config = match args.bots {
        Some(bot_share) => GeneratorConfig { bot_share, ..config },
        None => config,
    };
    let generator = Generator::new(config)?;
    if let Some(brokers) = &args.brokers
        && args.out.is_none()
    {
        let topics = Topic::ALL.map(|topic| topic.name());
        produce::create_topics(brokers, &topics, args.partitions).await?;
    }
    let summary = args.summary;
    let made = tokio::task::spawn_blocking(move || write(generator, &args)).await??;
    match summary {
        SummaryFormat::None => {}
        SummaryFormat::Json => println!("{}", serde_json::to_string(&made)?),
        SummaryFormat::Text => eprintln!(
            "{} records: {} on time, {} late, {} duplicates, {} malformed; {} bots' events, {} orders; {} to {}",
            made.events,
            made.on_time,
            made.late,
            made.duplicates,
            made.malformed,
            made.bots,
            made.orders,
            made.first_time.map(|t| t.to_rfc3339()).unwrap_or_default(),
            made.last_time.map(|t| t.to_rfc3339()).unwrap_or_default(),
        ),
    }
    Ok(())
}

/// Where records go.
enum Output {
    Lines(BufWriter<Box<dyn Write>>),
    Kafka(KafkaProducer),
}

impl Output {
    fn write(&mut self, record: &Generated) -> anyhow::Result<()> {
        match self {
            Output::Lines(lines) => {
                lines.write_all(&record.payload)?;
                lines.write_all(b"\n")?;
                Ok(())
            }
            Output::Kafka(producer) => producer.send(record),
        }
    }
}

fn write(mut generator: Generator, args: &GenerateArgs) -> anyhow::Result<Summary> {
    let to_stdout = args.out.as_ref().is_some_and(|path| path.as_os_str() == "-");
    let mut output = match (&args.out, &args.brokers) {
        (Some(_), _) if to_stdout => Output::Lines(BufWriter::new(Box::new(std::io::stdout()))),
        (Some(path), _) => {
            let file =
                File::create(path).with_context(|| format!("cannot write {} (--out)", path.display()))?;
            Output::Lines(BufWriter::with_capacity(1 << 20, Box::new(file)))
        }
        (None, Some(brokers)) => Output::Kafka(KafkaProducer::new(brokers, 20)?),
        (None, None) => anyhow::bail!("say where to write: --out FILE or --brokers HOST:PORT"),
    };
    let bar = if to_stdout { ProgressBar::hidden() } else { ProgressBar::new(args.events) };
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} records  {per_sec}  {eta}")?);
    let mut written = 0_u64;
    let note = |written: &mut u64| {
        *written += 1;
        if written.is_multiple_of(10_000) {
            bar.set_position(*written);
        }
    };
    match args.rate {
        None => {
            for record in generator.by_ref() {
                output.write(&record).with_context(|| "cannot write records")?;
                note(&mut written);
            }
        }
        Some(_) => loop {
            let now = Utc::now();
            while let Some(record) = generator.next_until(now) {
                output.write(&record).with_context(|| "cannot write records")?;
                note(&mut written);
            }
            let Some(due) = generator.next_due() else { break };
            let wait = (due - Utc::now())
                .to_std()
                .unwrap_or_default()
                .clamp(Duration::from_millis(1), Duration::from_millis(20));
            std::thread::sleep(wait);
        },
    }
    match &mut output {
        Output::Lines(lines) => lines.flush().with_context(|| "cannot write records; is the disk full?")?,
        Output::Kafka(producer) => producer.flush()?,
    }
    bar.finish_and_clear();
    Ok(generator.summary())
}

// rskafka, a Kafka client in Rust that stands on no other: checks BROKER RECORDS_FILE PREFIX. One line per check.
// It has no consumer groups, keeps one header of a name, and reads a null header as empty; the rest is compared.

use chrono::{DateTime, Duration, Utc};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const ORDER_COUNT: usize = 10_000;
const BATCH: usize = 100;
const WAIT_MS: i32 = 10_000;

struct Context {
    client: Client,
    records: Vec<Record>,
    prefix: String,
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (text != "-").then(|| (0..text.len()).step_by(2).map(byte).collect())
}

fn parse(line: &str) -> Record {
    let fields: Vec<&str> = line.split('\t').collect();
    let mut headers = BTreeMap::new();
    for pair in fields[3].split(',').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').expect("name=value");
        headers.insert(name.to_string(), from_hex(value).unwrap_or_default());
    }
    let timestamp = DateTime::<Utc>::from_timestamp_millis(fields[0].parse().expect("a time")).expect("a time");
    Record { key: from_hex(fields[1]), value: from_hex(fields[2]), headers, timestamp }
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, got: T, wanted: T) -> Outcome {
    if got == wanted {
        return Ok(());
    }
    let text: String = format!("{what}: got {got:?}, expected {wanted:?}").chars().take(300).collect();
    Err(text.into())
}

async fn create(context: &Context, name: &str, partitions: i32) -> Outcome<String> {
    let topic = format!("{}-{name}", context.prefix);
    context.client.controller_client()?.create_topic(topic.as_str(), partitions, 1, WAIT_MS).await?;
    Ok(topic)
}

async fn partition(context: &Context, topic: &str, number: i32) -> Outcome<PartitionClient> {
    Ok(context.client.partition_client(topic, number, UnknownTopicHandling::Retry).await?)
}

// All records of a partition from an offset on, as (offset, record).
async fn read(from: &PartitionClient, start: i64, count: usize) -> Outcome<Vec<(i64, Record)>> {
    let mut found = Vec::new();
    while found.len() < count {
        let next = found.last().map_or(start, |(offset, _)| offset + 1);
        let (records, _) = from.fetch_records(next, 1..1_000_000, 1_000).await?;
        if records.is_empty() {
            return Err(format!("no record at {next}").into());
        }
        found.extend(records.into_iter().map(|each| (each.offset, each.record)));
    }
    Ok(found)
}

async fn metadata(context: &Context) -> Outcome {
    let topic = create(context, "metadata", 3).await?;
    let topics = context.client.list_topics().await?;
    let found = topics.into_iter().find(|each| each.name == topic).ok_or("the topic is not listed")?;
    expect("partitions", found.partitions.into_iter().collect(), vec![0, 1, 2])
}

async fn codec(context: &Context, name: &str, compression: Compression) -> Outcome {
    let topic = create(context, name, 1).await?;
    let client = partition(context, &topic, 0).await?;
    let offsets = client.produce(context.records.clone(), compression).await?;
    expect("offsets", offsets, (0..context.records.len() as i64).collect())?;
    let found = read(&client, 0, context.records.len()).await?;
    for ((offset, got), wanted) in found.into_iter().zip(&context.records) {
        expect(&format!("record {offset}"), got, wanted.clone())?;
    }
    Ok(())
}

async fn order(context: &Context) -> Outcome {
    let topic = create(context, "order", 2).await?;
    for number in 0..2 {
        let client = partition(context, &topic, number).await?;
        let record = |n: usize| Record {
            key: None,
            value: Some(n.to_string().into_bytes()),
            headers: BTreeMap::new(),
            timestamp: context.records[0].timestamp,
        };
        for first in (0..ORDER_COUNT / 2).step_by(BATCH) {
            client.produce((first..first + BATCH).map(record).collect(), Compression::Lz4).await?;
        }
        let found = read(&client, 0, ORDER_COUNT / 2).await?;
        for (n, (offset, got)) in found.into_iter().enumerate() {
            expect(&format!("record {n}"), (offset, got.value), (n as i64, record(n).value))?;
        }
        expect("end", client.get_offset(OffsetAt::Latest).await?, ORDER_COUNT as i64 / 2)?;
    }
    Ok(())
}

async fn by_time(context: &Context) -> Outcome {
    let client = partition(context, &format!("{}-zstd", context.prefix), 0).await?;
    let time = context.records[7].timestamp;
    expect("at", client.get_offset(OffsetAt::Timestamp(time)).await?, 7)?;
    expect("after", client.get_offset(OffsetAt::Timestamp(time + Duration::milliseconds(1))).await?, 8)?;
    expect("earliest", client.get_offset(OffsetAt::Earliest).await?, 0)?;
    expect("latest", client.get_offset(OffsetAt::Latest).await?, context.records.len() as i64)
}

async fn topics(context: &Context) -> Outcome {
    let topic = create(context, "topics", 2).await?;
    expect("a second of its name", create(context, "topics", 2).await.is_err(), true)?;
    context.client.controller_client()?.delete_topic(topic.as_str(), WAIT_MS).await?;
    while context.client.list_topics().await?.iter().any(|each| each.name == topic) {}
    Ok(())
}

async fn delete_records(context: &Context) -> Outcome {
    let client = partition(context, &format!("{}-lz4", context.prefix), 0).await?;
    client.delete_records(7, WAIT_MS).await?;
    expect("earliest", client.get_offset(OffsetAt::Earliest).await?, 7)?;
    expect("the first left", read(&client, 7, 1).await?[0].0, 7)
}

// A client that waits for ever for what a broker refuses is a failure too.
async fn report(name: &str, check: impl Future<Output = Outcome>) -> bool {
    let limit = std::time::Duration::from_secs(20);
    let error = match tokio::time::timeout(limit, check).await {
        Ok(Ok(())) => {
            println!("ok {name}");
            return true;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => "not within 20 s".to_string(),
    };
    println!("failed {name} {}", error.replace('\n', " "));
    false
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().collect();
    let client = ClientBuilder::new(vec![arguments[1].clone()]).build().await?;
    let records = std::fs::read_to_string(&arguments[2])?.lines().map(parse).collect();
    let context = Context { client, records, prefix: arguments[3].clone() };
    let codecs = [
        ("none", Compression::NoCompression),
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
    ];
    let mut good = report("metadata", metadata(&context)).await;
    for (name, compression) in codecs {
        good &= report(name, codec(&context, name, compression)).await;
    }
    good &= report("order", order(&context)).await;
    good &= report("by_time", by_time(&context)).await;
    good &= report("topics", topics(&context)).await;
    good &= report("delete_records", delete_records(&context)).await;
    std::process::exit(if good { 0 } else { 1 });
}

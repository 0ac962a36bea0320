"""Reads a recording with the format's reference library and says what it found."""

import sys

from mcap.reader import make_reader

with open(sys.argv[1], "rb") as file:
    reader = make_reader(file)
    print("profile", reader.get_header().profile)
    summary = reader.get_summary()
    print("messages", summary.statistics.message_count, "in", len(summary.chunk_indexes), "chunks")
    for channel in sorted(summary.channels.values(), key=lambda c: c.topic):
        schema = summary.schemas[channel.schema_id]
        count = summary.statistics.channel_message_counts[channel.id]
        print(channel.topic, schema.name, schema.encoding, channel.message_encoding, count)
    times = [message.log_time for _, _, message in reader.iter_messages()]
    print(f"read {len(times)}, {'in time order' if times == sorted(times) else 'out of order'}")

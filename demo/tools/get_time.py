"""A tool for `carat run --tools`: the time in a city. Reads {"city": "Oslo"}, prints "time: 14:32", without a newline.

The city has to name a time zone, as Oslo names Europe/Oslo. Where SOURCE_DATE_EPOCH is set, that moment is told.
"""
import datetime
import json
import os
import sys
import zoneinfo

# Capitals that share the zone of another city.
OTHERS = {"bern": "Europe/Zurich", "boston": "America/New_York", "delhi": "Asia/Kolkata", "hanoi": "Asia/Bangkok",
          "quito": "America/Guayaquil"}


def zone_of(city: str) -> zoneinfo.ZoneInfo:
    wanted = city.strip().lower().replace(" ", "_")
    if wanted in OTHERS:
        return zoneinfo.ZoneInfo(OTHERS[wanted])
    for name in sorted(zoneinfo.available_timezones()):
        if "/" in name and name.rpartition("/")[2].lower() == wanted:
            return zoneinfo.ZoneInfo(name)
    sys.exit(f"no time zone is named after {city!r}")


def main() -> None:
    zone = zone_of(str(json.load(sys.stdin)["city"]))
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.datetime.fromtimestamp(int(epoch), zone) if epoch else datetime.datetime.now(zone)
    print(f"time: {now:%H:%M}", end="")


if __name__ == "__main__":
    main()

/** How old something is, counted on by itself. */

import { now } from "../live/store";
import { duration, moment } from "../model/format";

export function Age({ since, suffix = "ago" }: { since: number; suffix?: string }) {
  if (!since) return null;
  return (
    <time dateTime={new Date(since * 1000).toISOString()} title={moment(since)}>
      {duration(now.value - since)}
      {suffix && ` ${suffix}`}
    </time>
  );
}

/** AWS IoT Core: "Publish requests per second per connection", 100. Who exceeds it is disconnected here. */
export const PUBLISHES_PER_SECOND = 100;

/** A bucket that holds the publishes of one second. */
export class PublishQuota {
  private tokens = PUBLISHES_PER_SECOND;
  private sinceMs = performance.now();

  /** @returns whether this publish is within the quota */
  take(): boolean {
    const nowMs = performance.now();
    const refilled = this.tokens + ((nowMs - this.sinceMs) / 1_000) * PUBLISHES_PER_SECOND;
    this.sinceMs = nowMs;
    this.tokens = Math.min(PUBLISHES_PER_SECOND, refilled) - 1;
    return this.tokens >= 0;
  }
}

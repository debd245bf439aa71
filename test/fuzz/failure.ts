const LONGEST_DETAIL = 4_000;

/** Something the fuzzer must not see. `kind` says what, so that a smaller input can be known to show the same. */
export class Failure extends Error {
  constructor(
    readonly kind: string,
    detail: unknown,
  ) {
    const text = detail instanceof Error ? (detail.stack ?? detail.message) : String(detail);
    super(`${kind}: ${text.slice(0, LONGEST_DETAIL)}`);
  }
}

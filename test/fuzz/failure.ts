/** Something the fuzzer must not see. `kind` says what, so that a smaller input can be known to show the same. */
export class Failure extends Error {
  constructor(
    readonly kind: string,
    detail: unknown,
  ) {
    super(`${kind}: ${detail instanceof Error ? (detail.stack ?? detail.message) : String(detail)}`);
  }
}

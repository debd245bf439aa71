/** 1973 in milliseconds, the year 5138 in seconds: below it somebody has mixed up the unit. */
const FEWEST_EPOCH_MS = 100_000_000_000;
/** What a Date can hold. */
const MOST_EPOCH_MS = 8_640_000_000_000_000;

/** Milliseconds since 1970; `Infinity` for what does not expire. @internal */
export function expiryMs({ expiresAt }: { readonly expiresAt?: Date | number | undefined }): number {
  return expiresAt === undefined ? Infinity : Number(expiresAt);
}

/** What is wrong with a value that should say until when something is good. @internal */
export function expiryProblem(expiresAt: unknown): string | undefined {
  if (expiresAt === undefined) return undefined;
  const isKind = expiresAt instanceof Date || typeof expiresAt === 'number';
  const ms = Number(isKind ? expiresAt : NaN);
  if (ms >= FEWEST_EPOCH_MS && ms <= MOST_EPOCH_MS) return undefined;
  const unit = ms > 0 && ms < FEWEST_EPOCH_MS ? '; a JWT counts seconds: multiply by 1 000' : '';
  return `an expiresAt that is no Date and no number of milliseconds since 1970${unit}`;
}

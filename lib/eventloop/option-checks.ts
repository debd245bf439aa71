import { inspect } from 'node:util';
import { MqttArgumentError, MqttOptionsError, type OptionIssue } from './errors.js';

/** Collects what is wrong with a set of options, so that every mistake is reported at once. @internal */
export class OptionChecks {
  readonly issues: OptionIssue[] = [];

  report(option: string, value: unknown, expected: string): void {
    this.issues.push({ option, value: shown(value), expected });
  }

  unknownKeys(of: string, value: object, known: readonly string[]): void {
    for (const key of Object.keys(value)) {
      // It may be the password of another client's options.
      if (!known.includes(key)) this.report(`${of}${key}`, '…', `no such option; known are ${known.join(', ')}`);
    }
  }

  integer(option: string, value: unknown, least: number, most: number, fallback: number): number {
    return this.#range(option, value, least, most, fallback, Number.isInteger(value), 'an integer');
  }

  number(option: string, value: unknown, least: number, most: number, fallback: number): number {
    return this.#range(option, value, least, most, fallback, Number.isFinite(value), 'a number');
  }

  boolean(option: string, value: unknown, fallback: boolean): boolean {
    if (value === undefined || typeof value === 'boolean') return value ?? fallback;
    this.report(option, value, 'true or false');
    return fallback;
  }

  oneOf<T>(option: string, value: unknown, choices: readonly T[], fallback: T): T {
    if (value === undefined) return fallback;
    if (choices.includes(value as T)) return value as T;
    this.report(option, value, `one of ${choices.map((choice) => inspect(choice)).join(', ')}`);
    return fallback;
  }

  callback<T extends (...args: never[]) => unknown>(option: string, value: T | undefined): T | undefined {
    // What stands there instead may be what the function should return: a signed URL, for example.
    if (value !== undefined && typeof value !== 'function') this.report(option, '…', 'a function');
    return value;
  }

  /** Runs a check that throws {@link MqttArgumentError}. */
  argument(check: () => void): void {
    try {
      check();
    } catch (error) {
      if (!(error instanceof MqttArgumentError)) throw error;
      this.report(error.field, error.value, error.expected);
    }
  }

  /** @throws MqttOptionsError when anything was reported */
  finish(): void {
    if (this.issues.length > 0) throw new MqttOptionsError(this.issues);
  }

  #range(
    option: string,
    value: unknown,
    least: number,
    most: number,
    fallback: number,
    isKind: boolean,
    kind: string,
  ): number {
    if (value === undefined) return fallback;
    if (isKind && (value as number) >= least && (value as number) <= most) return value as number;
    this.report(option, value, `${kind} from ${least} to ${most}`);
    return fallback;
  }
}

/** Short, one line. Callers hide secrets before they report. */
function shown(value: unknown): string {
  const text = inspect(value, { depth: 0, breakLength: Infinity, maxStringLength: 80 });
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

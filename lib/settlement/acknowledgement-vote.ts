import { MqttArgumentError } from '../eventloop/errors.js';

const pubackReasons = new Set([0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);

/** One handler's say in the acknowledgement of a message that others have a say in too, or that waits for it. @internal */
export class AcknowledgementVote {
  /** Resolves with the first call of `give`. */
  readonly given: Promise<void>;
  #reasonCode: number | undefined;
  #resolve!: () => void;

  constructor() {
    this.given = new Promise((resolve) => (this.#resolve = resolve));
  }

  get reasonCode(): number | undefined {
    return this.#reasonCode;
  }

  give(reasonCode: number): void {
    if (!pubackReasons.has(reasonCode)) {
      throw new MqttArgumentError(
        'reasonCode',
        reasonCode,
        'a PUBACK reason code: 0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97 or 0x99',
      );
    }
    this.#reasonCode ??= reasonCode;
    this.#resolve();
  }
}

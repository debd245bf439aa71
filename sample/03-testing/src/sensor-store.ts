import { Injectable } from '@nestjs/common';

/** Stands for a database. */
@Injectable()
export class SensorStore {
  readonly #latest = new Map<string, number>();

  save(sensor: string, celsius: number): Promise<void> {
    this.#latest.set(sensor, celsius);
    return Promise.resolve();
  }

  latest(sensor: string): number | undefined {
    return this.#latest.get(sensor);
  }
}

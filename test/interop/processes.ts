import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { MqttModuleOptions } from 'nestjs-rumqtt';
import { onTestFinished, vi } from 'vitest';

const program = fileURLToPath(new URL('./service.mjs', import.meta.url));

/** What a process tells of its handler. */
export interface HandlerEvent {
  readonly event: 'began' | 'finished' | 'listening' | 'holding';
  readonly key: string;
  readonly number: number;
}

/** A Nest service in a process of its own (service.mjs); ends with the test. */
export class ServiceProcess {
  readonly events: HandlerEvent[] = [];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (event) => this.events.push(event as HandlerEvent));
  }

  /** Resolves when its handler is subscribed. */
  static async start(library: string, options: MqttModuleOptions): Promise<ServiceProcess> {
    const service = new ServiceProcess(fork(program, [library, JSON.stringify(options)]));
    onTestFinished(() => service.kill());
    await service.#told('listening');
    return service;
  }

  /** From now on its handler never finishes. */
  async hold(): Promise<void> {
    this.#child.send('hold');
    await this.#told('holding');
  }

  /** The numbers of messages, in the order in which their handlers began or finished. */
  numbers(of: 'began' | 'finished'): number[] {
    return this.events.filter(({ event }) => event === of).map(({ number }) => number);
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  async #told(what: HandlerEvent['event']): Promise<void> {
    await vi.waitFor(
      () => {
        if (this.#child.exitCode !== null) throw new Error(`the service ended with ${this.#child.exitCode}`);
        if (!this.events.some(({ event }) => event === what)) throw new Error(`the service is not ${what}`);
      },
      { timeout: 60_000, interval: 20 },
    );
  }
}

import { Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { AsyncMicroserviceOptions, ClientProxy, MicroserviceOptions } from '@nestjs/microservices';
import type { QoS, Settlement, Version } from '../wire.js';

export interface NestOptions {
  readonly url: string;
  readonly protocolVersion: Version;
  readonly qos: QoS;
  readonly settlement?: Settlement;
  /** Messages that are not settled, and requests that are not answered, where the transport bounds them. */
  readonly capacity?: number;
}

export interface BenchServer {
  /** Subscribes on the server's own connection. */
  subscribe(filter: string, qos: QoS): Promise<unknown>;
  close(): Promise<void>;
}

/** What `nest/ours.ts` and `nest/builtin.ts` export. */
export interface NestModule {
  readonly startServer: (options: NestOptions, controller: Type) => Promise<BenchServer>;
  readonly createClient: (options: NestOptions) => ClientProxy;
}

export async function startMicroservice(controller: Type, options: MicroserviceOptions | AsyncMicroserviceOptions) {
  class BenchModule {}
  Module({ controllers: [controller] })(BenchModule);
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(BenchModule, { ...options, logger: ['error'] });
  await app.listen();
  return app;
}

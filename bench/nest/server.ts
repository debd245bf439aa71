import { Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { AsyncMicroserviceOptions, MicroserviceOptions } from '@nestjs/microservices';

export interface BenchServer {
  /** Subscribes on the server's own connection. */
  subscribe(filter: string): Promise<unknown>;
  close(): Promise<void>;
}

export type StartServer = (url: string, controller: Type) => Promise<BenchServer>;

/** What `nest/ours.ts` and `nest/builtin.ts` export. */
export interface ServerModule {
  readonly start: StartServer;
}

export async function startMicroservice(controller: Type, options: MicroserviceOptions | AsyncMicroserviceOptions) {
  class BenchModule {}
  Module({ controllers: [controller] })(BenchModule);
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(BenchModule, { ...options, logger: ['error'] });
  await app.listen();
  return app;
}

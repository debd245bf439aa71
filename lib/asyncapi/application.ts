import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ModulesContainer, NestFactory, type AbstractHttpAdapter } from '@nestjs/core';
import { describeError } from '../mqtt.errors.js';
import { MqttServer } from '../mqtt.server.js';

/** What is wrong with the module or the application, and the cure. @internal */
export class AsyncApiCommandError extends Error {}

const usualNames = ['AppModule', 'default'];

/**
 * The servers of an application which is created and never initialised: handlers are registered, nothing connects.
 *
 * @param target - the path of a compiled module; behind a `#` the name of its export
 * @throws AsyncApiCommandError
 * @internal
 */
export async function serversOf(target: string): Promise<MqttServer[]> {
  const module = await importModule(target);
  const app = await NestFactory.create(module as never, noHttp, { logger: false, abortOnError: false }).catch(
    (error: unknown) => fail(`${target}: the application could not be created: ${describeError(error)}`),
  );
  const servers = new Set<MqttServer>();
  for (const { providers } of app.get(ModulesContainer).values()) {
    for (const { instance } of providers.values()) if (instance instanceof MqttServer) servers.add(instance);
  }
  if (servers.size === 0) {
    fail(
      `${target}: no MqttModule is registered in this application; import MqttModule.register() from the same installation of nestjs-rumqtt as this command`,
    );
  }
  for (const strategy of servers) app.connectMicroservice({ strategy });
  return [...servers];
}

async function importModule(target: string): Promise<unknown> {
  const hash = target.lastIndexOf('#');
  const path = hash === -1 ? target : target.slice(0, hash);
  const isFile = await stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  );
  if (!isFile) fail(`${path}: no such file; build the application and give the path of the compiled module`);
  const exported = (await import(pathToFileURL(resolve(path)).href).catch((error: unknown) =>
    fail(`${path}: could not be imported: ${describeError(error)}`),
  )) as Record<string, unknown>;

  const names = Object.keys(exported);
  const wanted = hash === -1 ? usualNames : [target.slice(hash + 1)];
  const name = wanted.find((candidate) => names.includes(candidate));
  if (name === undefined) {
    fail(
      `${path}: no export ${wanted.join(' or ')}; it exports ${names.join(', ') || 'nothing'}: name the module as ${path}#Name`,
    );
  }
  const module = await exported[name];
  if (typeof module !== 'function' && (typeof module !== 'object' || module === null)) {
    fail(`${path}: the export ${name} is neither a module class nor a dynamic module`);
  }
  return module;
}

/**
 * Nest asks for an HTTP adapter, which a pure microservice has not installed. It is never initialised: all it has to do is to be
 * there, and to be no promise.
 */
const noHttp = new Proxy({} as AbstractHttpAdapter, {
  get: (_, name) => (name === 'then' ? undefined : () => undefined),
});

function fail(message: string): never {
  throw new AsyncApiCommandError(message);
}

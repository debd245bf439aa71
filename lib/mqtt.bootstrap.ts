import type { OnApplicationBootstrap } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';

/**
 * Runs `open` when the bootstrap hooks of all modules have run. Nest calls them one module after the other, the imported
 * before the importing, so our module's own hook comes too early: the hook of the module that comes last is extended.
 *
 * @param caller - the module whose hook is running
 * @internal
 */
export async function afterBootstrap(
  modules: ModulesContainer,
  caller: object,
  open: () => Promise<void>,
): Promise<void> {
  // The order of NestApplicationContext; test/e2e/nest/bootstrap.test.ts holds every supported Nest to it.
  const last = [...modules.values()].toSorted((a, b) => b.distance - a.distance).at(-1);
  const host = last?.getProviderByKey<Partial<OnApplicationBootstrap>>(last.metatype);
  const instance = host?.instance;
  // Nest does not call the hook of a module that depends on the request.
  if (!instance || instance === caller || !host.isDependencyTreeStatic()) return open();
  const hook = instance.onApplicationBootstrap?.bind(instance);
  instance.onApplicationBootstrap = async (): Promise<void> => {
    await hook?.();
    await open();
  };
}

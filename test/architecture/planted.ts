import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** Writes a small project with planted mistakes. It lies outside the repository, or git would have it ignored or seen. */
export function plant(files: Record<string, string>): Disposable & { readonly directory: string } {
  const directory = mkdtempSync(join(tmpdir(), 'nestjs-rumqtt-planted-'));
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  for (const [path, source] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), source);
  }
  return { directory, [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
}

/** Runs an installed tool. Its findings are in its output, so the exit code is not looked at. */
export function runTool(script: string, args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve) => {
    const argv = [join(root, 'node_modules', script), ...args];
    execFile(process.execPath, argv, { cwd, maxBuffer: 2 ** 26 }, (_error, stdout) => resolve(stdout));
  });
}

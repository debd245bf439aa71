// Reads what Vitest reported in one run or in several, says what is wrong on stderr, and prints the result on stdout: "N passed, N failed".
// A test that was skipped or left to do proves nothing, so it fails the run as a failed one does.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

const paths = process.argv.length > 2 ? process.argv.slice(2) : ['.vitest/report.json'];
const reports = paths.map((path) => ({ path, ...JSON.parse(readFileSync(path, 'utf8')) }));
const tests = reports
  .flatMap(({ testResults }) => testResults)
  .flatMap((file) =>
    // A file that could not be loaded has no tests.
    file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed')
      ? [...file.assertionResults, { status: 'failed', fullName: `(the file itself) ${file.message}`, file: file.name }]
      : file.assertionResults.map((test) => ({ ...test, file: file.name })),
  );
const count = (status) => tests.filter((test) => test.status === status).length;

for (const { status, fullName, file } of tests) {
  if (status !== 'passed') console.error(`${status}: ${relative('.', file)} > ${fullName}`);
}
for (const { path, success, testResults } of reports) {
  if (testResults.length === 0) console.error(`${path}: no test ran`);
  if (!success) console.error(`${path}: Vitest reports a failure`);
}
const succeeded = reports.every(({ success, testResults }) => success && testResults.length > 0);

console.log(`${count('passed')} passed, ${count('failed')} failed`);
process.exitCode = succeeded && tests.length > 0 && tests.length === count('passed') ? 0 : 1;

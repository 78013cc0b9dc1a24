// Adds up the test reports and prints the closing line; steps that failed count as failures, so do missing reports.
import { readFileSync } from 'node:fs';

const [dir, failedSteps] = process.argv.slice(2);
let passed = 0;
let failed = 0;
for (const name of ['test.json', 'verify.json']) {
  try {
    const report = JSON.parse(readFileSync(`${dir}/${name}`, 'utf8'));
    passed += report.numPassedTests;
    failed +=
      report.numFailedTests + (report.success ? 0 : Math.max(0, report.numFailedTestSuites - report.numFailedTests));
    if (report.numPassedTests === 0) failed += 1;
  } catch {
    console.error(`no report ${name}`);
    failed += 1;
  }
}
failed = Math.max(failed, Number(failedSteps));
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

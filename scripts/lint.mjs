import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { root, tool } from './tools.mjs'
import { checkDocs } from './check-docs.mjs'

/**
 * `npm run lint`: oxlint with type information (rules and import directions stand in .oxlintrc.json), then the docs.
 * @param {readonly string[]} args
 */
export function lint(args) {
  const linted = spawnSync(process.execPath, [tool('oxlint'), '--type-aware', ...args], { cwd: root, stdio: 'inherit' })
  return linted.status === 0
}

if (process.argv[1] === join(import.meta.dirname, 'lint.mjs')) {
  const good = [lint(process.argv.slice(2)), checkDocs()]
  process.exitCode = good.every(Boolean) ? 0 : 1
}

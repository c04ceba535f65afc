// npm run bench -- audit: what the audit record costs, its way in and its ways out. Parts by name: `ingest`, `query`, `sinks`.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'

const wanted = process.argv.slice(2)
for (const part of ['ingest', 'query', 'sinks']) {
  const script = path.join(import.meta.dirname, `audit-${part}.mjs`)
  if (!existsSync(script) || (wanted.length > 0 && !wanted.includes(part))) continue
  const { status } = spawnSync(process.execPath, [script], { stdio: 'inherit' })
  if (status !== 0) process.exitCode = status ?? 1
}

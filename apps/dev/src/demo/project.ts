import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Nobody's data: a card number that only passes the check sum, and addresses of a domain that is reserved for examples. */
const files: Readonly<Record<string, string>> = {
  'README.md': '# shop\n\nThe demo project of Sallyport: what a CI job may read on web-01, and what is masked on the way.\n',
  'config/app.yaml': 'listen: 127.0.0.1:8080\nworkers: 2\nlog: logs/orders.log\n',
  'logs/orders.log': [
    '2026-11-20T08:00:01Z order 301 accepted customer=ana.petrov@example.com total=59.90',
    '2026-11-20T08:00:02Z order 301 paid card=4111 1111 1111 1111',
    '2026-11-20T08:04:17Z order 302 accepted customer=li.wei@example.net total=12.00',
    '2026-11-20T08:04:19Z order 302 failed reason=card_declined',
    '',
  ].join('\n'),
  'cache/stale.tmp': 'left over\n',
}

/** The folder of the demo's host that stands for a project. What is there stays: people try things on it. */
export function prepareProject(directory: string): void {
  if (existsSync(directory)) return
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, name)
    mkdirSync(join(path, '..'), { recursive: true, mode: 0o755 })
    writeFileSync(path, text, { mode: 0o644 })
  }
}

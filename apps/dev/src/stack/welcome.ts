import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cliCommand } from './description.js'
import { demoTargetName, type Stack } from './stack.js'

/**
 * Writes the shell commands of the tour (`bin/sallyport`, and `bin/sallyport-dana` who decides as the DBA) and the
 * configuration that `npm run sallyport` picks up.
 */
export function writeShortcuts(stack: Stack, root: string): void {
  const bin = join(stack.files.data, 'bin')
  mkdirSync(bin, { recursive: true })
  for (const [name, user] of [['sallyport', 'ada'], ['sallyport-dana', 'dana']] as const) {
    const configuration = join(stack.files.data, user === 'ada' ? 'cli.json' : `cli-${user}.json`)
    const content = { url: stack.apiUrl, tokenFile: join(stack.files.tokens, user) }
    writeFileSync(configuration, JSON.stringify(content, undefined, 2) + '\n', { mode: 0o600 })
    const command = cliCommand(root).map(quote).join(' ')
    writeFileSync(join(bin, name), `#!/bin/sh\nSALLYPORT_CONFIG=\${SALLYPORT_CONFIG:-${quote(configuration)}} exec ${command} "$@"\n`)
    chmodSync(join(bin, name), 0o755)
  }
}

interface TourStep {
  readonly shows: string
  readonly commands: readonly string[]
  /** Needs the demo's host. */
  readonly host?: true
}

/** The steps of the tour: what each shows, and its commands. scripts/check-docs.mjs compares README.md with them. */
export function tour(mintUrl: string): readonly TourStep[] {
  const claims = '{"repository":"acme/shop","ref":"refs/heads/main","run_id":"42","actor":"octo"}'
  const exec = `sallyport exec ${demoTargetName} --token-file /tmp/ci.jwt -- psql -c`
  return [
    { shows: 'a token, as a CI job gets it from its provider (good for ten minutes)', commands: [`curl -s ${mintUrl} -d '${claims}' | sed 's/.*"token":"//; s/".*//' > /tmp/ci.jwt`] },
    { shows: 'allowed, and masked on the way back', commands: [`${exec} "select id, name, email, ssn from customers order by id limit 3"`] },
    { shows: 'denied', commands: [`${exec} "drop database orders"`] },
    { shows: 'held: it waits, and nothing has run', commands: [`${exec} "delete from order_items where order_id = 7"`] },
    {
      shows: 'Dana, a DBA, looks at it and approves, in a third terminal (ID is in the list)',
      commands: ['sallyport-dana approvals list', 'sallyport-dana approvals show ID', 'sallyport-dana approvals approve ID --reason "known duplicates"'],
    },
    {
      shows: 'a host, by ssh: allowed, then denied',
      commands: ['sallyport exec web-01 --token-file /tmp/ci.jwt -- ssh web-01 uptime', 'sallyport exec web-01 --token-file /tmp/ci.jwt -- ssh web-01 cat /etc/shadow'],
      host: true,
    },
    {
      shows: 'a cluster, by kubectl (which must be installed): a Secret, masked, then denied',
      commands: [
        'sallyport exec demo-cluster --token-file /tmp/ci.jwt -- kubectl -n shop get secret db-credentials -o jsonpath={.data.password}',
        'sallyport exec demo-cluster --token-file /tmp/ci.jwt -- kubectl get nodes',
      ],
    },
    { shows: 'who did what, and whether the record is whole', commands: ['sallyport sessions list', 'sallyport sessions replay ID', 'sallyport audit search --limit 5', 'sallyport audit verify'] },
  ]
}

/** What to try next, for people. */
export function welcome(stack: Stack): string {
  const bin = join(stack.files.data, 'bin')
  const { host } = stack
  const possible = tour(stack.issuer.mintUrl).filter((step) => step.host === undefined || host !== undefined)
  const steps = possible.map(({ shows, commands }) => [`  # ${shows}`, ...commands.map((command) => `  ${command}`)].join('\n'))
  return `
Sallyport is running. The database stays in ${stack.files.data}; Ctrl-C stops everything.

  control plane   ${stack.apiUrl}   (API page: ${stack.apiUrl}/docs)
  gateway         localhost:${stack.gateways[0]?.port('listeners.postgres') ?? 0}, CA ${stack.files.caFile}
${host ? `  ssh             localhost:${stack.gateways[0]?.portOrNone('listeners.ssh') ?? 0}; target web-01, whose project lies in ${host.facts.projectDirectory}\n` : ''}  kubernetes      https://localhost:${stack.gateways[0]?.port('listeners.kubernetes') ?? 0}/k8s/demo-cluster   (a stand-in for an API server)
  issuer          ${stack.issuer.url}   (plays the CI's identity provider)

In another terminal (psql must be installed):

  export PATH="${bin}:$PATH"

${steps.join('\n\n')}

README.md shows what each prints.
`
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

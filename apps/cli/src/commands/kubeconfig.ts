import { spawn } from 'node:child_process'
import { accessSync, constants, realpathSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Command } from 'commander'
import { contextOf, durationSeconds, say } from '../context.js'
import { bearerToken, entryOf } from '../clients/kubernetes.js'
import { kubeconfigText, type KubeconfigEntry } from '../clients/kubeconfig-text.js'
import { CliError, usageError } from '../errors.js'
import { tellHolds } from '../exec/holds.js'
import { issueCredential, revokeCredential, type IssueRequest } from '../exec/issued-credential.js'
import { asFields, text } from '../http/record.js'

const kubernetes = 'kubernetes'
const lookEveryMilliseconds = 50
const revokeMilliseconds = 5000

interface SourceOptions {
  readonly tokenFile?: string
  readonly audience: string
  readonly ttl?: number
}

export function registerKubeconfig(program: Command): void {
  sourceOptions(program.command('kubeconfig'))
    .description('write a kubeconfig with which kubectl reaches TARGET: it holds no secret, kubectl asks this program for one at each run')
    .argument('<target...>', 'names of clusters; the first becomes the current context')
    .option('-f, --file <file>', 'where to (default: standard output)')
    .option('-n, --namespace <name>', 'namespace of the contexts')
    .action(async (targets: string[], options: SourceOptions & { file?: string; namespace?: string }, command: Command) => {
      const { api } = contextOf(command)
      const entries: KubeconfigEntry[] = []
      for (const target of targets) {
        // Made and ended at once: it shows that the target may be reached, and where.
        const credential = await issueCredential(api, request(target, options))
        await revokeCredential(api, credential, revokeMilliseconds)
        if (credential.protocol !== kubernetes) throw notACluster(target, credential.protocol)
        entries.push({ ...entryOf(credential), exec: pluginFor(target, options, api.url), ...(options.namespace === undefined ? {} : { namespace: options.namespace }) })
      }
      const config = kubeconfigText(entries)
      if (options.file === undefined) process.stdout.write(config)
      else {
        writeFileSync(options.file, config, { mode: 0o600 })
        say(`wrote ${options.file}; kubectl --kubeconfig ${options.file} get pods`)
      }
    })

  sourceOptions(program.command('kube-credential'))
    .description('what a kubeconfig of ours runs: prints a short-lived credential for TARGET as kubectl wants it (ExecCredential)')
    .argument('<target>', 'name of the cluster')
    .action(async (target: string, options: SourceOptions, command: Command) => {
      const { api } = contextOf(command)
      const credential = await issueCredential(api, request(target, options))
      if (credential.protocol !== kubernetes) throw notACluster(target, credential.protocol)
      const expires = new Date(Date.now() + credential.expiresInSeconds * 1000)
      process.stdout.write(
        JSON.stringify({
          apiVersion: 'client.authentication.k8s.io/v1',
          kind: 'ExecCredential',
          status: { token: bearerToken(credential), expirationTimestamp: expires.toISOString() },
        }) + '\n',
      )
      // kubectl says nothing while a request of its waits for approval: for a person at a terminal somebody else does.
      if (process.stderr.isTTY) watchBeside({ id: credential.id, secret: credential.secret, client: process.ppid }, api.url)
    })

  program
    .command('kube-holds', { hidden: true })
    .description("tells on a terminal what a kubectl's requests wait for; started by kube-credential, reads what to watch from standard input")
    .action(async (_options: unknown, command: Command) => {
      const { api } = contextOf(command)
      const chunks: Buffer[] = []
      for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk))
      const watched = asFields(JSON.parse(Buffer.concat(chunks).toString('utf8')))
      const client = Number(watched['client'])
      const over = new AbortController()
      const timer = setInterval(() => {
        if (!runs(client)) over.abort()
      }, lookEveryMilliseconds)
      await tellHolds(api, { id: text(watched, 'id'), secret: text(watched, 'secret') }, say, over.signal)
      clearInterval(timer)
    })
}

function sourceOptions(command: Command): Command {
  return command
    .option('--token-file <file>', "the job's OIDC token (found by itself in GitHub Actions, GitLab and Kubernetes)")
    .option('--audience <text>', 'audience to ask GitHub for', 'sallyport')
    .option('--ttl <duration>', 'how long a credential should live at most, like 10m', durationSeconds)
}

function request(target: string, options: SourceOptions): IssueRequest {
  return {
    target,
    audience: options.audience,
    singleUse: false,
    env: process.env,
    ...(options.tokenFile === undefined ? {} : { tokenFile: options.tokenFile }),
    ...(options.ttl === undefined ? {} : { ttlSeconds: options.ttl }),
  }
}

function pluginFor(target: string, { tokenFile, audience, ttl }: SourceOptions, url: string): KubeconfigEntry['exec'] {
  const own = ownCommand()
  const [command = '', ...before] = own
  const args = [
    ...before,
    'kube-credential',
    target,
    '--url',
    url,
    ...(tokenFile === undefined ? [] : ['--token-file', tokenFile]),
    ...(audience === 'sallyport' ? [] : ['--audience', audience]),
    ...(ttl === undefined ? [] : ['--ttl', `${ttl}s`]),
  ]
  // The files with which this run was configured; a token itself doesn't go into a file.
  const caFile = process.env['SALLYPORT_CA_FILE']
  return { command, args, ...(caFile === undefined ? {} : { env: { SALLYPORT_CA_FILE: caFile } }) }
}

/** `sallyport` where that finds this program, else its absolute path. */
function ownCommand(): readonly string[] {
  const script = process.argv[1]
  if (script === undefined) throw new CliError("can't tell where this program lies")
  const own = realpathSync(script)
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const candidate = join(folder, 'sallyport')
    try {
      accessSync(candidate, constants.X_OK)
      if (realpathSync(candidate) === own) return ['sallyport']
      break
    } catch {
      continue
    }
  }
  return [process.execPath, own]
}

function watchBeside(watched: { readonly id: string; readonly secret: string; readonly client: number }, url: string): void {
  const [program = '', ...args] = [process.execPath, process.argv[1] ?? '', 'kube-holds', '--url', url]
  // Not standard output: kubectl reads that to its end.
  const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'inherit'], detached: true })
  child.on('error', () => undefined)
  child.stdin.end(JSON.stringify(watched))
  child.unref()
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function notACluster(target: string, protocol: string): CliError {
  return usageError(`${target} is no cluster: it speaks ${protocol}`, `sallyport exec ${target} -- …`)
}

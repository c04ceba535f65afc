import { execFile } from 'node:child_process'
import fs from 'node:fs/promises'
import path from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { credentialUnavailable } from './api-server.js'

const execSchema = z.object({
  command: z.string().min(1),
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
  apiVersion: z.enum(['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1']),
})

const kubeconfigSchema = z.object({
  'current-context': z.string().optional(),
  clusters: z.array(
    z.object({
      name: z.string(),
      cluster: z.object({
        server: z.url({ protocol: /^https$/ }),
        'certificate-authority': z.string().optional(),
        'certificate-authority-data': z.string().optional(),
        'tls-server-name': z.string().optional(),
      }),
    }),
  ),
  contexts: z.array(z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) })),
  users: z.array(
    z.object({
      name: z.string(),
      user: z.object({
        'client-certificate': z.string().optional(),
        'client-certificate-data': z.string().optional(),
        'client-key': z.string().optional(),
        'client-key-data': z.string().optional(),
        token: z.string().optional(),
        tokenFile: z.string().optional(),
        exec: execSchema.optional(),
      }),
    }),
  ),
})

const execAnswerSchema = z.object({
  kind: z.literal('ExecCredential'),
  status: z.object({
    token: z.string().min(1).optional(),
    clientCertificateData: z.string().optional(),
    clientKeyData: z.string().optional(),
    expirationTimestamp: z.iso.datetime({ offset: true }).optional(),
  }),
})

type ExecPlugin = z.infer<typeof execSchema>

/** What one context of a kubeconfig says. */
export interface KubeconfigContext {
  readonly server: string
  readonly ca: string | undefined
  readonly serverName: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
  /** The token of this moment; undefined where a client certificate is all. */
  readonly token: (() => Promise<string>) | undefined
}

/**
 * Reads a kubeconfig of the agent's own host (Kubernetes: "Organizing Cluster Access Using kubeconfig Files"). Its files and
 * its exec plugin are the agent's owner's, as the kubeconfig is.
 * @param folder what relative paths in it start from
 * @throws {UpstreamError} which never quotes it
 */
export async function readKubeconfig(text: string, contextName: string | undefined, folder: string): Promise<KubeconfigContext> {
  const parsed = kubeconfigSchema.safeParse(yamlOf(text))
  if (!parsed.success) throw credentialUnavailable()
  const config = parsed.data
  const name = contextName ?? config['current-context']
  const context = config.contexts.find((one) => one.name === name)?.context
  const cluster = config.clusters.find((one) => one.name === context?.cluster)?.cluster
  const user = config.users.find((one) => one.name === context?.user)?.user
  if (cluster === undefined || user === undefined) throw credentialUnavailable()
  const pem = (data: string | undefined, file: string | undefined): Promise<string | undefined> =>
    data !== undefined ? Promise.resolve(Buffer.from(data, 'base64').toString('utf8')) : file === undefined ? Promise.resolve(undefined) : readText(path.resolve(folder, file))
  const fromPlugin = user.exec === undefined ? undefined : new PluginToken(user.exec, folder)
  const certificate = await fromPlugin?.certificate()
  const { token, tokenFile } = user
  return {
    server: cluster.server,
    ca: await pem(cluster['certificate-authority-data'], cluster['certificate-authority']),
    serverName: cluster['tls-server-name'],
    cert: certificate?.cert ?? (await pem(user['client-certificate-data'], user['client-certificate'])),
    key: certificate?.key ?? (await pem(user['client-key-data'], user['client-key'])),
    token:
      fromPlugin !== undefined
        ? certificate?.only === true
          ? undefined
          : () => fromPlugin.token()
        : tokenFile !== undefined
          ? // Read each time: whoever wrote it there renews it.
            async () => (await readText(path.resolve(folder, tokenFile))).trim()
          : token !== undefined
            ? () => Promise.resolve(token)
            : undefined,
  }
}

const pluginMilliseconds = 15_000
const refreshBeforeMilliseconds = 30_000

interface PluginAnswer {
  readonly token: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
  /** Milliseconds since the epoch. */
  readonly until: number
}

/** An exec credential plugin (Kubernetes: "client-go credential plugins"), asked again when its token is about to expire. */
class PluginToken {
  #current: PluginAnswer | undefined

  constructor(
    private readonly plugin: ExecPlugin,
    private readonly folder: string,
  ) {}

  async token(): Promise<string> {
    const { token } = await this.#answer()
    if (token === undefined) throw credentialUnavailable()
    return token
  }

  async certificate(): Promise<{ cert: string; key: string; only: boolean } | undefined> {
    const { cert, key, token } = await this.#answer()
    return cert === undefined || key === undefined ? undefined : { cert, key, only: token === undefined }
  }

  async #answer(): Promise<PluginAnswer> {
    if (this.#current === undefined || this.#current.until - refreshBeforeMilliseconds < Date.now()) this.#current = await this.#run()
    return this.#current
  }

  async #run(): Promise<PluginAnswer> {
    const { command, args, env, apiVersion } = this.plugin
    const info = JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: { interactive: false } })
    const file = command.includes('/') ? path.resolve(this.folder, command) : command
    const output = await new Promise<string>((resolve, reject) => {
      const childEnv = { ...process.env, ...Object.fromEntries((env ?? []).map(({ name, value }) => [name, value])), KUBERNETES_EXEC_INFO: info }
      // What the plugin says on stderr isn't shown: it could hold the secret.
      execFile(file, args ?? [], { timeout: pluginMilliseconds, maxBuffer: 256 * 1024, encoding: 'utf8', shell: false, env: childEnv }, (error, stdout) => (error ? reject(credentialUnavailable()) : resolve(stdout)))
    })
    const answer = execAnswerSchema.safeParse(yamlOf(output))
    if (!answer.success) throw credentialUnavailable()
    const { token, clientCertificateData, clientKeyData, expirationTimestamp } = answer.data.status
    return { token, cert: clientCertificateData, key: clientKeyData, until: expirationTimestamp === undefined ? Infinity : Date.parse(expirationTimestamp) }
  }
}

function yamlOf(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0 })
  } catch {
    throw credentialUnavailable()
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await fs.readFile(file, 'utf8')
  } catch {
    throw credentialUnavailable()
  }
}

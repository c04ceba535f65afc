import { stringify } from 'yaml'

export interface KubeconfigEntry {
  readonly target: string
  readonly server: string
  readonly caPem: string
  /** What kubectl runs for a token. */
  readonly exec: { readonly command: string; readonly args: readonly string[]; readonly env?: Readonly<Record<string, string>> }
  readonly namespace?: string
}

/** A kubeconfig with one context for each target; the first is the current one. It holds no secret. */
export function kubeconfigText(entries: readonly KubeconfigEntry[]): string {
  const name = ({ target }: KubeconfigEntry): string => `sallyport-${target}`
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': entries[0] === undefined ? '' : name(entries[0]),
    clusters: entries.map((entry) => ({
      name: name(entry),
      cluster: { server: entry.server, 'certificate-authority-data': Buffer.from(entry.caPem).toString('base64') },
    })),
    contexts: entries.map((entry) => ({
      name: name(entry),
      context: { cluster: name(entry), user: name(entry), ...(entry.namespace === undefined ? {} : { namespace: entry.namespace }) },
    })),
    users: entries.map((entry) => ({
      name: name(entry),
      user: {
        exec: {
          apiVersion: 'client.authentication.k8s.io/v1',
          command: entry.exec.command,
          args: entry.exec.args,
          ...(entry.exec.env === undefined ? {} : { env: Object.entries(entry.exec.env).map(([key, value]) => ({ name: key, value })) }),
          interactiveMode: 'Never',
          installHint: 'The command line of Sallyport (sallyport) is needed to reach this cluster.',
        },
      },
    })),
  })
}

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { probeTls } from '../doctor/gateway-probes.js'
import type { IssuedCredential } from '../exec/issued-credential.js'
import type { ClientSetup } from './client.js'
import { kubeconfigText, type KubeconfigEntry } from './kubeconfig-text.js'

/** kubectl, helm and whatever else reads a kubeconfig (Kubernetes: "Organizing Cluster Access Using kubeconfig Files"). */
export const kubernetesClient: ClientSetup = {
  probe: probeTls,
  program: { name: 'kubectl', args: ['version', '--client'] },
  tellsHolds: true,
  environment(credential, { directory }) {
    const tokenFile = join(directory, 'token')
    writeFileSync(tokenFile, bearerToken(credential), { mode: 0o600 })
    const plugin = join(directory, 'kube-credential')
    writeFileSync(plugin, pluginScript, { mode: 0o700 })
    const configFile = join(directory, 'kubeconfig')
    const entry = { ...entryOf(credential), exec: { command: '/bin/sh', args: [plugin, tokenFile] } }
    writeFileSync(configFile, kubeconfigText([entry]), { mode: 0o600 })
    return {
      KUBECONFIG: configFile,
      // A pod's own service account, which clients fall back to, is not what was asked for.
      KUBERNETES_SERVICE_HOST: undefined,
      KUBERNETES_SERVICE_PORT: undefined,
    }
  },
}

/** What a client sends: the gateway takes it apart again. */
export function bearerToken({ connection, secret }: IssuedCredential): string {
  return `${connection.user}.${secret}`
}

/** A client's way to the gateway, without what proves who it is. */
export function entryOf({ target, connection }: IssuedCredential): Omit<KubeconfigEntry, 'exec'> {
  const host = connection.host.includes(':') ? `[${connection.host}]` : connection.host
  return { target, server: `https://${host}:${connection.port}/k8s/${target}`, caPem: connection.caPem }
}

/**
 * An exec credential plugin (Kubernetes: "client-go credential plugins") as a shell script, because kubectl starts it at each
 * run. What it adds to the token makes that run a session of its own.
 */
const pluginScript = `#!/bin/sh
token=$(cat "$1") || exit 1
run=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \\n')
printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s.%s"}}\\n' "$token" "$run"
`

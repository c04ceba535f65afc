import { z } from 'zod'

const reference = z
  .string()
  .regex(/^(env|file|exec):.+$/s, 'must be a reference (env:NAME, file:/path or exec:/path): a credential never stands in a document')
const fileReference = z.string().regex(/^file:\/.+$/s, 'must be a file reference: file:/path')

const credential = z.union(
  [
    /** The agent's own service account, when it runs in the cluster. */
    z.strictObject({ inCluster: z.literal(true) }),
    z.strictObject({ token: reference }),
    z.strictObject({ clientCertificate: z.strictObject({ cert: reference, key: reference }) }),
    /** A kubeconfig on the agent's host: client certificate, token, token file or exec plugin. */
    z.strictObject({ kubeconfig: z.strictObject({ file: fileReference, context: z.string().min(1).max(253).optional() }) }),
  ],
  { error: 'must be one of: inCluster: true, token, clientCertificate: { cert, key }, kubeconfig: { file }' },
)

const template = z.string().min(1).max(253).regex(/^[^\x00-\x1f\x7f]+$/, 'must hold no control characters')

/** A Kubernetes target: the protocol's own part of a Target document. */
export const kubernetesTargetSchema = z
  .strictObject({
    /** The API server, https. Without it: what the kubeconfig or the pod's environment says. */
    server: z.url({ protocol: /^https$/, error: 'must be an https URL' }).optional(),
    /** PEM of the CA, or a file reference to it. Without it: what comes with the credential, or the system's CAs. */
    ca: z.string().regex(/^(file:\/.+|-----BEGIN CERTIFICATE-----[\s\S]+)$/, 'must be a certificate in PEM, or file:/path').optional(),
    /** The name in its certificate, when it differs from the URL's. */
    serverName: z.string().min(1).max(253).optional(),
    /** Takes any certificate. For a stand-in on this machine only: other addresses are refused. */
    insecureSkipVerify: z.literal(true).optional(),
    credential,
    /** Mints a token of this service account for each session, with the credential above. */
    tokenRequest: z
      .strictObject({
        serviceAccount: z.string().regex(/^[a-z0-9-]{1,63}\/[a-z0-9.-]{1,253}$/, 'must be namespace/name'),
        ttlSeconds: z.number().int().min(600).max(86_400).default(3600),
        audiences: z.array(z.string().min(1)).max(10).optional(),
      })
      .optional(),
    /** Who the cluster's own RBAC and audit log see. `{identity.name}` and `{claims.NAME}` are filled in. */
    impersonate: z.strictObject({ user: template, groups: z.array(template).max(20).optional(), extra: z.record(z.string().regex(/^[a-z0-9._/-]{1,100}$/), template).optional() }).optional(),
  })
  .superRefine((spec, context) => {
    if (spec.server === undefined && !('kubeconfig' in spec.credential) && !('inCluster' in spec.credential)) {
      context.addIssue({ code: 'custom', path: ['server'], message: 'must be the https URL of the API server' })
    }
    if (spec.insecureSkipVerify && !/^https:\/\/(localhost|127\.[\d.]+|\[::1\])(:\d+)?(\/|$)/.test(spec.server ?? '')) {
      context.addIssue({ code: 'custom', path: ['insecureSkipVerify'], message: 'is for a server on this machine only: give its CA' })
    }
  })

export type KubernetesTarget = z.infer<typeof kubernetesTargetSchema>

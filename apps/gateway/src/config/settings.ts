import { z } from 'zod'

/** One setting: where it stands, what it means, and how its text is read. */
export interface Setting<T> {
  /** Environment variable; the YAML key is the same without the prefix, in lower case. */
  readonly env: string
  readonly default?: string
  readonly doc: string
  readonly secret?: true
  readonly read: z.ZodType<T, string>
}

export interface HostPort {
  readonly host: string
  readonly port: number
}

const text = z.string().min(1)
const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be between ${min} and ${max}`)
const flag = z.enum(['true', 'false']).transform((value) => value === 'true')
const list = text.transform((value) => value.split(',').map((item) => item.trim()).filter((item) => item !== ''))

/** `host:port` or `[ipv6]:port`; port 0 takes a free one. */
export const hostPort: z.ZodType<HostPort, string> = z.string().transform((value, context) => {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(value)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port > 65_535) {
    context.addIssue({ code: 'custom', message: 'must be host:port' })
    return z.NEVER
  }
  return { host, port }
})

function setting<T>(value: Setting<T>): Setting<T> {
  return value
}

export const settings = {
  dataDir: setting({
    env: 'SALLYPORT_GATEWAY_DATA_DIR',
    default: './.sallyport/gateway',
    doc: 'Folder of this gateway’s key and certificate; made with mode 0700.',
    read: text,
  }),
  controlPlane: setting({
    env: 'SALLYPORT_CONTROL_PLANE',
    default: '127.0.0.1:8471',
    doc: 'host:port of the control plane’s gRPC listener.',
    read: text,
  }),
  enrolmentToken: setting({
    env: 'SALLYPORT_ENROLMENT_TOKEN',
    doc: 'One-time token of the first start. Ignored once the gateway is enrolled.',
    secret: true,
    read: text,
  }),
  enrolmentTokenFile: setting({
    env: 'SALLYPORT_ENROLMENT_TOKEN_FILE',
    doc: 'File that holds the one-time token, instead of the variable.',
    read: text,
  }),
  hostnames: setting({
    env: 'SALLYPORT_GATEWAY_HOSTNAMES',
    default: 'localhost,127.0.0.1',
    doc: 'Names and addresses under which clients reach this gateway, comma separated; they go into its certificate.',
    read: list,
  }),
  tunnelListen: setting({
    env: 'SALLYPORT_GATEWAY_TUNNEL_LISTEN',
    default: '127.0.0.1:8472',
    doc: 'host:port that agents dial (tunnel and enrolment).',
    read: hostPort,
  }),
  opsListen: setting({
    env: 'SALLYPORT_GATEWAY_OPS_LISTEN',
    default: '127.0.0.1:8473',
    doc: 'host:port of /healthz, /readyz and /metrics: plain HTTP without authentication, so keep it private.',
    read: hostPort,
  }),
  tlsCertFile: setting({
    env: 'SALLYPORT_GATEWAY_TLS_CERT_FILE',
    doc: 'PEM certificate chain shown to clients; read again on SIGHUP. Default: the gateway’s own, of the installation’s CA.',
    read: text,
  }),
  tlsKeyFile: setting({
    env: 'SALLYPORT_GATEWAY_TLS_KEY_FILE',
    doc: 'PEM private key of that certificate.',
    read: text,
  }),
  insecurePlaintext: setting({
    env: 'SALLYPORT_INSECURE_PLAINTEXT',
    default: 'false',
    doc: 'Development only: client listeners without TLS. Refused unless every client listener is on loopback.',
    read: flag,
  }),
  handshakeMilliseconds: setting({
    env: 'SALLYPORT_GATEWAY_HANDSHAKE_MS',
    default: '30000',
    doc: 'A client must have its session within this many milliseconds.',
    read: whole(100, 600_000),
  }),
  maxUnauthenticated: setting({
    env: 'SALLYPORT_GATEWAY_MAX_UNAUTHENTICATED',
    default: '200',
    doc: 'Client connections that have not authenticated yet; at the bound an idle one makes room, or the new one is closed.',
    read: whole(1, 100_000),
  }),
  maxUnauthenticatedPerAddress: setting({
    env: 'SALLYPORT_GATEWAY_MAX_UNAUTHENTICATED_PER_ADDRESS',
    default: '50',
    doc: 'The same for one client address (IPv6: one /64).',
    read: whole(1, 100_000),
  }),
  maxSessions: setting({
    env: 'SALLYPORT_GATEWAY_MAX_SESSIONS',
    default: '5000',
    doc: 'Open sessions of this gateway; more are refused with TOO_MANY_SESSIONS.',
    read: whole(1, 1_000_000),
  }),
  drainMilliseconds: setting({
    env: 'SALLYPORT_GATEWAY_DRAIN_MS',
    default: '10000',
    doc: 'After SIGTERM open sessions may go on for this many milliseconds.',
    read: whole(0, 3_600_000),
  }),
} as const

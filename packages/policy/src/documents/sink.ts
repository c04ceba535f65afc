import { z } from 'zod'
import { documentLimits } from '../limits.js'
import { durationField, exactlyOne, isLoopback, oneOrMany, refuse, sizeField, textField, urlField } from './fields.js'

/** Where a secret is. The control plane's own settings say which references a document may name at all. */
const reference = z
  .string()
  .regex(/^(env:[A-Za-z_][A-Za-z0-9_]*|file:\/.+)$/s, 'must be a reference (env:NAME or file:/path): a secret never stands in a document')
  .meta({ title: 'reference' })

const tls = z
  .strictObject({
    ca: reference.optional().meta({ description: 'PEM certificates that the receiver’s must chain to. Default: the system’s.' }),
    cert: reference.optional().meta({ description: 'PEM certificate chain that we show.' }),
    key: reference.optional().meta({ description: 'Its private key.' }),
  })
  .superRefine((spec, context) => {
    if ((spec.cert === undefined) !== (spec.key === undefined)) refuse(context, '`cert` and `key` go together')
  })
const tlsField = tls.prefault({}).meta({ description: 'TLS towards the receiver; its certificate and name are always checked.' })

/** https, or http on loopback: what is sent is who ran what, together with a secret. */
const receiverUrl = urlField.superRefine((text, context) => {
  const url = URL.parse(text)
  if (url?.protocol === 'http:' && !isLoopback(text)) refuse(context, 'must be https (plain http is accepted on loopback only)')
})

/** Headers that we set ourselves, or that would change how the request is framed. */
const ownHeaders = /^(host|content-.*|transfer-encoding|connection|upgrade|te|trailer|webhook-.*|x-amz-.*)$/i
const headers = z
  .record(z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'must be a header name').refine((name) => !ownHeaders.test(name), 'is a header that the sink sets itself'), reference)
  .prefault({})
  .meta({ description: 'Further headers, such as `authorization`; values are references.', title: 'map of header → reference' })

const otlp = z.strictObject({
  url: receiverUrl.meta({ description: 'Full address, mostly ending in `/v1/logs`.' }),
  headers,
  tls: tlsField,
})

const splunkHec = z.strictObject({
  url: receiverUrl.meta({ description: 'Address of the collector, without a path.' }),
  token: reference.meta({ description: 'The HEC token.' }),
  index: textField.optional().meta({ description: 'Index; default: the token’s.' }),
  source: textField.prefault('sallyport').meta({ description: '`source` of the events.' }),
  sourcetype: textField.prefault('sallyport:audit').meta({ description: '`sourcetype` of the events.' }),
  acknowledge: z.boolean().prefault(false).meta({ description: 'Wait until the indexers have it (the token must have indexer acknowledgement on).' }),
  tls: tlsField,
})

const elasticsearch = z.strictObject({
  url: receiverUrl.meta({ description: 'Address of the cluster, without a path.' }),
  index: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,200}$/, 'must be the name of an index or data stream in lower case')
    .prefault('sallyport-audit')
    .meta({ description: 'Index or data stream.' }),
  authorization: reference.optional().meta({ description: 'The whole `authorization` header, such as `ApiKey …`.' }),
  tls: tlsField,
})

const syslog = z
  .strictObject({
    host: textField.meta({ description: 'Host name or address.' }),
    port: z.number().int().min(1).max(65535).prefault(6514).meta({ description: 'TCP port.' }),
    transport: z.enum(['tls', 'tcp']).prefault('tls').meta({ description: '`tcp`, without TLS, goes to loopback only.' }),
    facility: z.number().int().min(0).max(23).prefault(13).meta({ description: 'RFC 5424 facility; 13 is log audit.' }),
    hostname: z.string().regex(/^[\x21-\x7e]{1,255}$/).prefault('sallyport').meta({ description: 'HOSTNAME of the messages.' }),
    enterpriseId: z
      .string()
      .regex(/^\d{1,10}(\.\d{1,10}){0,5}$/)
      .prefault('32473')
      .meta({ description: 'Private enterprise number of the structured data. The default is the one reserved for examples; give your own.' }),
    maxMessageBytes: sizeField(8 * 1024 * 1024).prefault('64KiB').meta({ description: 'A longer message goes to the dead letters: set it to what the receiver takes.' }),
    tls: tlsField,
  })
  .superRefine((spec, context) => {
    if (spec.transport === 'tcp' && !isLoopback(`http://${spec.host.includes(':') ? `[${spec.host}]` : spec.host}`)) {
      refuse(context, 'plain tcp is accepted on loopback only', { path: ['transport'] })
    }
  })

const webhook = z.strictObject({
  url: receiverUrl.meta({ description: 'Where batches are posted.' }),
  secret: reference.meta({ description: 'Signing secret of Standard Webhooks: `whsec_` and base64 of 24 to 64 bytes.' }),
  headers,
  tls: tlsField,
})

const file = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$/, 'must be a plain file name')
    .meta({ description: 'File below the control plane’s SALLYPORT_SINK_DIRECTORY.' }),
})

const s3 = z.strictObject({
  endpoint: receiverUrl.meta({ description: 'Address of the service, without the bucket.' }),
  region: z.string().regex(/^[a-z0-9-]{1,64}$/).prefault('us-east-1').meta({ description: 'Region that signatures name.' }),
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of a bucket').meta({ description: 'Bucket; addressed in the path.' }),
  prefix: z
    .string()
    .regex(/^([A-Za-z0-9_.=-]+\/)*$/, 'must be empty, or folders that each end in /')
    .refine((text) => !/(^|\/)\.{1,2}\//.test(text), 'must not hold "." or ".."')
    .prefault('sallyport/')
    .meta({ description: 'Put before every object’s name.' }),
  format: z.enum(['jsonl', 'parquet']).prefault('jsonl').meta({ description: 'JSON lines, or Apache Parquet with the event as JSON text in a column; give it a `batch.wait` of minutes.' }),
  accessKeyId: reference.meta({ description: 'Access key.' }),
  secretAccessKey: reference.meta({ description: 'Its secret.' }),
  sessionToken: reference.optional().meta({ description: 'For temporary credentials.' }),
  tls: tlsField,
})

const destinations = { otlp, splunk_hec: splunkHec, elasticsearch, syslog, webhook, file, stdout: z.strictObject({}), s3 } as const
type Destinations = { readonly [K in keyof typeof destinations]: K extends 'stdout' ? object : z.infer<(typeof destinations)[K]> }
export type SinkKind = keyof Destinations
export const sinkKinds = Object.keys(destinations).filter((name): name is SinkKind => Object.hasOwn(destinations, name))

/** Where a sink sends to: its kind and that kind's own settings. */
export type SinkDestination = { readonly [K in SinkKind]: { readonly kind: K } & Destinations[K] }[SinkKind]

const mask = z.strictObject({
  statement: z
    .enum(['full', 'without_parameters', 'digest'])
    .prefault('full')
    .meta({ description: 'The text of commands: as it is, with literals and arguments taken out, or a keyed digest.' }),
  parameters: z.enum(['keep', 'remove']).prefault('remove').meta({ description: 'Bound parameters of commands.' }),
  results: z.enum(['keep', 'remove']).prefault('remove').meta({ description: 'The recorded beginning of results (masked already).' }),
  identity: z.enum(['keep', 'pseudonym']).prefault('keep').meta({ description: 'Names of identities, their claims and addresses: as they are, or keyed pseudonyms that stay the same over all sinks.' }),
})

const batch = z.strictObject({
  records: z.number().int().min(1).max(5000).prefault(500).meta({ description: 'At most so many events at once.' }),
  bytes: sizeField(64 * 1024 * 1024).prefault('1MiB').meta({ description: 'At most so many bytes of stored events at once; a larger event goes alone.' }),
  wait: durationField(0, 3600).prefault('0s').meta({ description: 'How long a batch that isn’t full may wait for more; for `s3`, 1m or more makes fewer objects.' }),
})

const kindPattern = z.string().regex(/^[a-z]+(\.[a-z_]+)*$/, 'must be a kind of event such as command, or what stands before its dots')

export const sinkSpec = z
  .strictObject({
    otlp: otlp.optional().meta({ description: 'OpenTelemetry logs, OTLP/HTTP with JSON.' }),
    splunk_hec: splunkHec.optional().meta({ description: 'Splunk HTTP Event Collector.' }),
    elasticsearch: elasticsearch.optional().meta({ description: 'Elasticsearch or OpenSearch bulk API.' }),
    syslog: syslog.optional().meta({ description: 'RFC 5424 over TLS (RFC 5425).' }),
    webhook: webhook.optional().meta({ description: 'Signed HTTP posts (Standard Webhooks).' }),
    file: file.optional().meta({ description: 'JSON lines appended to a file.' }),
    stdout: destinations.stdout.optional().meta({ description: 'JSON lines on the control plane’s standard output.' }),
    s3: s3.optional().meta({ description: 'Objects of an S3-compatible store: JSON lines or Parquet.' }),
    shape: z.enum(['native', 'ocsf', 'ecs']).prefault('native').meta({ description: 'Form of an event: our own, OCSF or ECS.' }),
    kinds: oneOrMany(kindPattern, 'kind').optional().meta({ description: 'Kinds of events; `session` covers `session.start`. Default: all but pieces of recordings.', title: 'text or list' }),
    from: z.enum(['beginning', 'now']).prefault('beginning').meta({ description: 'Where a new sink begins. One that was there before goes on where it stopped.' }),
    mask: mask.prefault({}).meta({ description: 'What of an event the receiver doesn’t get.' }),
    batch: batch.prefault({}).meta({ description: 'How events are put together.' }),
    timeout: durationField(1, 300).prefault('30s').meta({ description: 'For one batch, until it is acknowledged.' }),
    alertAfter: durationField(1, documentLimits.ttl_max_seconds).prefault('5m').meta({ description: 'A sink that has failed for so long is told in an event.' }),
    paused: z.boolean().prefault(false).meta({ description: 'Sends nothing; what it missed is sent when it goes on.' }),
  })
  .superRefine((spec, context) => {
    exactlyOne(spec, sinkKinds, context, 'a sink')
    if (spec.mask.statement !== 'full' && (spec.mask.parameters === 'keep' || spec.mask.results === 'keep')) {
      refuse(context, 'parameters and results can be kept only where the statement is kept in full', { path: ['mask'] })
    }
    if (spec.mask.results === 'remove' && spec.kinds?.includes('recording')) refuse(context, 'recordings are results: set mask.results to keep to send them', { path: ['kinds'] })
  })
  .transform(({ otlp: o, splunk_hec: h, elasticsearch: e, syslog: y, webhook: w, file: f, stdout: _stdout, s3: s, kinds, timeout, alertAfter, batch: together, ...rest }) => {
    return {
      ...rest,
      destination: destinationOf({ o, h, e, y, w, f, s }),
      ...(kinds === undefined ? {} : { kinds }),
      batch: { records: together.records, bytes: together.bytes, waitSeconds: together.wait },
      timeoutSeconds: timeout,
      alertAfterSeconds: alertAfter,
    }
  })

interface Given {
  readonly o: Destinations['otlp'] | undefined
  readonly h: Destinations['splunk_hec'] | undefined
  readonly e: Destinations['elasticsearch'] | undefined
  readonly y: Destinations['syslog'] | undefined
  readonly w: Destinations['webhook'] | undefined
  readonly f: Destinations['file'] | undefined
  readonly s: Destinations['s3'] | undefined
}

/** The refinement before has seen to it that exactly one is there. */
function destinationOf({ o, h, e, y, w, f, s }: Given): SinkDestination {
  if (o) return { kind: 'otlp', ...o }
  if (h) return { kind: 'splunk_hec', ...h }
  if (e) return { kind: 'elasticsearch', ...e }
  if (y) return { kind: 'syslog', ...y }
  if (w) return { kind: 'webhook', ...w }
  if (f) return { kind: 'file', ...f }
  if (s) return { kind: 's3', ...s }
  return { kind: 'stdout' }
}

/** What a sink document says, with its defaults. */
export type SinkSpec = z.infer<typeof sinkSpec>
export type SinkMask = SinkSpec['mask']
export type SinkShape = SinkSpec['shape']

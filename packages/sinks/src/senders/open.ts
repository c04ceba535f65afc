import type { Writable } from 'node:stream'
import type { SinkDestination } from '@sallyport/policy'
import type { Sender } from '../delivery.js'
import { elasticsearchSender } from './elasticsearch.js'
import { fileSender, streamSender } from './lines.js'
import { otlpSender } from './otlp.js'
import { s3Sender } from './s3.js'
import type { ResolveSecret } from './secrets.js'
import { splunkHecSender } from './splunk-hec.js'
import { syslogSender } from './syslog.js'
import { webhookSender } from './webhook.js'

export interface SenderContext {
  /** The sink's name. */
  readonly name: string
  readonly resolve: ResolveSecret
  /** Where `file` sinks write. */
  readonly directory: string
  /** Where `stdout` sinks write. */
  readonly stdout: Writable
}

/** Opens the sender of a destination; its secrets are read now. @throws when one can't be */
export async function openSender(destination: SinkDestination, { name, resolve, directory, stdout }: SenderContext): Promise<Sender> {
  switch (destination.kind) {
    case 'otlp':
      return otlpSender(destination, resolve)
    case 'splunk_hec':
      return splunkHecSender(destination, resolve)
    case 'elasticsearch':
      return elasticsearchSender(destination, resolve)
    case 'syslog':
      return syslogSender(destination, resolve)
    case 'webhook':
      return webhookSender(destination, name, resolve)
    case 'file':
      return fileSender(destination, directory)
    case 'stdout':
      return streamSender(stdout)
    case 's3':
      return s3Sender(destination, resolve)
  }
}

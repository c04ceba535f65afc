import net from 'node:net'
import tls, { type SecureContextOptions } from 'node:tls'
import type { SinkDestination } from '@sallyport/policy'
import { DeliveryError, type Rejected, type Sender } from '../delivery.js'
import type { ShapedRecord } from '../shape.js'
import { tlsOptions, type ResolveSecret } from './secrets.js'

type Spec = Extract<SinkDestination, { kind: 'syslog' }>

/** PARAM-VALUE (RFC 5424, 6.3.3): quote, backslash and closing bracket are escaped. Control characters would break lines in careless readers. */
const paramValue = (text: string): string => text.slice(0, 1024).toWellFormed().replaceAll(/[\u0000-\u001f\u007f]/g, ' ').replaceAll(/["\\\]]/g, '\\$&')

/** One RFC 5424 message without its frame. The message is JSON, so that no newline of an event can pose as another message. */
export function syslogMessage(record: ShapedRecord, spec: Pick<Spec, 'facility' | 'hostname' | 'enterpriseId'>): Buffer {
  const severity = record.kind === 'alert' ? 1 : record.decision === 'deny' ? 4 : 6
  const params = Object.entries({ position: String(record.position), id: record.id, kind: record.kind, session: record.session, who: record.who, target: record.target, decision: record.decision })
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}="${paramValue(value)}"`]))
    .join(' ')
  const msgid = record.kind.replaceAll(/[^\x21-\x7e]/g, '').slice(0, 32)
  // The BOM says that the message is UTF-8 (6.4).
  return Buffer.from(`<${spec.facility * 8 + severity}>1 ${record.time} ${spec.hostname} sallyport - ${msgid || '-'} [sallyport@${spec.enterpriseId} ${params}] \ufeff${record.json}`)
}

/** Between the last byte and our end, so that a receiver's own close is seen as such. */
const settleMs = 20

/** Octet counting (RFC 6587 3.4.1, RFC 5425 4.3). */
const framed = (message: Buffer): Buffer => Buffer.concat([Buffer.from(`${message.length} `), message])

/**
 * Syslog has no acknowledgement of its own, and what a socket took may still be lost with the receiver's process. So each
 * batch has a connection, and is settled when the receiver, having read up to our end, has closed it in order
 * (close_notify, RFC 5425 4.4): a reset or a timeout means that the batch comes again.
 */
export async function syslogSender(spec: Spec, resolve: ResolveSecret): Promise<Sender> {
  const options = spec.transport === 'tls' ? await tlsOptions(spec.tls, resolve) : undefined
  return {
    async send(batch, signal) {
      const rejected: Rejected[] = []
      const frames = batch.flatMap((record) => {
        const message = syslogMessage(record, spec)
        if (message.length <= spec.maxMessageBytes) return [framed(message)]
        rejected.push({ record, code: 'TOO_LARGE', reason: `the message has ${message.length} bytes, more than maxMessageBytes`, certain: true })
        return []
      })
      if (frames.length > 0) await exchange(spec, options, Buffer.concat(frames), signal)
      return rejected
    },
    close: () => Promise.resolve(),
  }
}

function exchange(spec: Spec, options: SecureContextOptions | undefined, data: Buffer, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const where = { host: spec.host, port: spec.port }
    const socket = options ? tls.connect({ ...where, ...options, ...(net.isIP(spec.host) === 0 ? { servername: spec.host } : {}) }) : net.connect(where)
    let ended = false
    const fail = (code: string): void => {
      reject(new DeliveryError('unavailable', code, `the syslog receiver did not take the batch (${code})`))
      socket.destroy()
    }
    const abort = (): void => fail('TIMEOUT')
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    let finishing = false
    socket.once(options ? 'secureConnect' : 'connect', () => {
      socket.write(data, () => {
        setTimeout(() => {
          finishing = true
          socket.end()
        }, settleMs)
      })
    })
    socket.resume()
    socket.on('end', () => {
      // An end before ours is a refusal: the receiver closed without waiting for what we write.
      ended = finishing
      if (!finishing) fail('CLOSED_EARLY')
    })
    socket.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.name))
    socket.on('close', (hadError) => {
      signal.removeEventListener('abort', abort)
      if (ended && !hadError) resolve()
      else fail('CLOSED_EARLY')
    })
  })
}

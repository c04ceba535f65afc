import { connect, type Socket } from 'node:net'
import { connect as connectTls, type PeerCertificate } from 'node:tls'

const timeoutMilliseconds = 5000

/** A TCP connection; the error of the one that failed is Node's own, with its code. */
export function dial(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    socket.setTimeout(timeoutMilliseconds, () => socket.destroy(new Error(`no answer within ${timeoutMilliseconds / 1000} s`)))
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      // From here on errors come to whoever waits for the next bytes.
      socket.on('error', () => undefined)
      resolve(socket)
    })
  })
}

/** The first bytes that come, no fewer than `wanted`; fewer when the other side ends. */
export function received(socket: Socket, wanted: number): Promise<Buffer> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0)
    const done = (): void => {
      socket.off('data', more)
      socket.pause()
      resolve(bytes)
    }
    const more = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk])
      if (bytes.length >= wanted) done()
    }
    socket.on('data', more)
    socket.once('close', done)
  })
}

/** TLS over a connection, verified as a client of this host would. @throws when the certificate isn't good for it */
export function handshake(socket: Socket, host: string, ca: string | undefined): Promise<PeerCertificate> {
  return new Promise((resolve, reject) => {
    const secure = connectTls({ socket, host, ...(/^[\d.:]+$/.test(host) ? {} : { servername: host }), ...(ca === undefined ? {} : { ca }) })
    secure.setTimeout(timeoutMilliseconds, () => secure.destroy(new Error(`no answer within ${timeoutMilliseconds / 1000} s`)))
    secure.once('error', reject)
    secure.once('secureConnect', () => {
      const certificate = secure.getPeerCertificate()
      secure.destroy()
      resolve(certificate)
    })
  })
}

import { createServer, type Server } from 'node:http'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose'

/** An OIDC issuer on loopback, for tests. */
export class TestIssuer {
  private constructor(
    readonly url: string,
    private readonly server: Server,
    private readonly key: CryptoKey,
    readonly jwk: JWK,
    /** What is served as the key set; tests may change it. */
    readonly served: { keys: JWK[]; fetches: number },
  ) {}

  static async start(): Promise<TestIssuer> {
    const { publicKey, privateKey } = await generateKeyPair('ES256')
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', use: 'sig', alg: 'ES256' }
    const served = { keys: [jwk as JWK], fetches: 0 }
    let url = ''
    const server = createServer((request, response) => {
      response.setHeader('content-type', 'application/json')
      if (request.url === '/.well-known/openid-configuration') return void response.end(JSON.stringify({ issuer: url, jwks_uri: `${url}/jwks` }))
      if (request.url === '/jwks') {
        served.fetches += 1
        return void response.end(JSON.stringify({ keys: served.keys }))
      }
      response.statusCode = 404
      response.end('{}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    url = `http://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}`
    return new TestIssuer(url, server, privateKey, jwk, served)
  }

  /** The IdentityProvider document `ci` that trusts it. */
  get document(): string {
    return `apiVersion: sallyport.dev/v1
kind: IdentityProvider
metadata: { name: ci }
spec: { issuer: "${this.url}", audience: sallyport, insecureHttp: true, algorithms: [ES256] }
`
  }

  /** A token as a CI system would issue it; claims override. */
  mint(claims: JWTPayload = {}): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    return new SignJWT({ iss: this.url, aud: 'sallyport', sub: 'repo:acme/shop', iat: now, exp: now + 300, jti: crypto.randomUUID(), ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1', typ: 'JWT' })
      .sign(this.key)
  }

  stop(): void {
    this.server.closeAllConnections()
    this.server.close()
  }
}

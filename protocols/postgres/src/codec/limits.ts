/** Caps on what is buffered before a message is whole. Each is checked on the announced length, before any allocation. */

/** A statement with its parameters: PostgreSQL itself takes up to 1 GiB; more than this belongs into COPY. */
export const maxClientMessageBytes = 16 * 1024 * 1024
/** One row of a result. */
export const maxTargetMessageBytes = 64 * 1024 * 1024
/** PostgreSQL's own cap on a start-up packet (MAX_STARTUP_PACKET_LENGTH, src/include/libpq/pqcomm.h). */
export const maxStartupPacketBytes = 10_000
/** PG_MAX_AUTH_TOKEN_LENGTH: the largest password or SASL message that PostgreSQL takes. An OIDC token fits. */
export const maxAuthMessageBytes = 65_535

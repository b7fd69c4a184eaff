#pragma once

/*
 * Codes of WebSocket's close frames
 *
 * RFC 6455, section 7.4.1, and what IANA's registry has added. Why a connection ends is a reason of
 * MQTT; src/mqtt/reasons.c tells which of these stands for it.
 */

enum websocket_code {
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_PROTOCOL_ERROR = 1002,
    WEBSOCKET_UNACCEPTABLE = 1003, /* text */
    WEBSOCKET_NO_CODE = 1005,      /* never sent: the peer gave none */
    WEBSOCKET_MISMATCHED = 1007, /* data that is not what it is said to be, as UTF-8 that is none */
    WEBSOCKET_POLICY = 1008,
    WEBSOCKET_TOO_BIG = 1009,
    WEBSOCKET_INTERNAL = 1011,
    WEBSOCKET_TRY_AGAIN = 1013 /* later; of the registry */
};

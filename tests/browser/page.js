// What a page does with MQTT.js: it connects as its address says, sends itself messages of every
// kind, and tells what came of it as a retained message on "result/NAME".
"use strict";

const given = new URLSearchParams(location.search);
const name = given.get("name");
const version = Number(given.get("version"));
const url = given.get("url");
const size = 300000;

function connect(more) {
    return mqtt.connect(url, {
        protocolVersion: version, protocolId: version === 3 ? "MQIsdp" : "MQTT",
        clientId: name, reconnectPeriod: 0, connectTimeout: 8000, clean: true, ...more,
    });
}

// Resolves with the messages, once there are as many.
function collect(client, count) {
    return new Promise((resolve) => {
        const got = [];
        client.on("message", (topic, payload, packet) => {
            got.push({ topic, qos: packet.qos, size: payload.length, first: payload[0],
                       last: payload[payload.length - 1], retain: packet.retain });
            if (got.length === count) {
                resolve(got);
            }
        });
    });
}

async function talk() {
    const client = connect({ will: { topic: `will/${name}`, payload: "gone", qos: 1 } });
    await new Promise((resolve, reject) => {
        client.once("connect", resolve);
        client.once("error", reject);
        client.once("close", () => reject(new Error("closed")));
    });
    const messages = collect(client, 4);
    await client.subscribeAsync(`own/${name}/#`, { qos: 2 });
    for (const qos of [0, 1, 2]) {
        await client.publishAsync(`own/${name}/${qos}`, `qos ${qos}`, { qos });
    }
    const large = new Uint8Array(size);
    large[0] = 1;
    large[size - 1] = 255;
    await client.publishAsync(`own/${name}/large`, large, { qos: 1 });
    const got = await messages;
    await client.publishAsync(`result/${name}`, JSON.stringify({ got, agent: navigator.userAgent }),
                              { qos: 1, retain: true });
    if (given.get("leave") === "yes") {
        await client.endAsync();
    }
}

// Who is refused tells it by another way in.
async function tellFailure(error) {
    const client = await mqtt.connectAsync(given.get("other"), { clientId: `${name}-other` });
    await client.publishAsync(`result/${name}`, JSON.stringify({ error: String(error) }),
                              { qos: 1, retain: true });
}

talk().catch(tellFailure);

// Pictures and sound: files to attachments, the microphone to a WAV file.

export async function attachmentOf(file) {
  const kind = file.type.startsWith("image/") ? "image" : file.type.startsWith("audio/") ? "audio" : null;
  if (!kind) throw new Error(`${file.name} is neither a picture nor a recording.`);
  const url = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error(`${file.name} can't be read.`));
    reader.readAsDataURL(file);
  });
  return {kind, name: file.name, type: file.type, url};
}

export function contentPart(attachment, softTokens) {
  if (attachment.kind === "image") {
    return {type: "image_url", image_url: {url: attachment.url}, ...(softTokens ? {max_soft_tokens: softTokens} : {})};
  }
  const format = attachment.type.includes("wav") ? "wav" : attachment.type.split("/")[1];
  return {type: "input_audio", input_audio: {data: attachment.url.slice(attachment.url.indexOf(",") + 1), format}};
}

const RATE = 16000;  // what the model hears

function wavFile(samples) {
  const bytes = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const text = (at, word) => [...word].forEach((c, i) => bytes.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  bytes.setUint32(4, 36 + samples.length * 2, true);
  text(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true);   // PCM
  bytes.setUint16(22, 1, true);   // one channel
  bytes.setUint32(24, RATE, true);
  bytes.setUint32(28, RATE * 2, true);
  bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true);
  text(36, "data");
  bytes.setUint32(40, samples.length * 2, true);
  samples.forEach((sample, i) => bytes.setInt16(44 + i * 2, Math.max(-1, Math.min(1, sample)) * 32767, true));
  return new File([bytes.buffer], "recording.wav", {type: "audio/wav"});
}

// Records until stop() is called, which gives a WAV file.
export async function startRecording() {
  const stream = await navigator.mediaDevices.getUserMedia({audio: {channelCount: 1, echoCancellation: true}});
  const context = new AudioContext({sampleRate: RATE});
  await context.audioWorklet.addModule("/web/recorder.js");
  const node = new AudioWorkletNode(context, "recorder");
  const pieces = [];
  node.port.onmessage = (event) => pieces.push(event.data);
  context.createMediaStreamSource(stream).connect(node);
  return {
    async stop() {
      stream.getTracks().forEach((track) => track.stop());
      await context.close();
      return wavFile(pieces.flatMap((piece) => [...piece]));
    },
  };
}

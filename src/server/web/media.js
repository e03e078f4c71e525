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

// pieces: Float32Arrays, one behind the other.
function wavFile(pieces) {
  const count = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const bytes = new DataView(new ArrayBuffer(44 + count * 2));
  const text = (at, word) => [...word].forEach((c, i) => bytes.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  bytes.setUint32(4, 36 + count * 2, true);
  text(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true);   // PCM
  bytes.setUint16(22, 1, true);   // one channel
  bytes.setUint32(24, RATE, true);
  bytes.setUint32(28, RATE * 2, true);
  bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true);
  text(36, "data");
  bytes.setUint32(40, count * 2, true);
  let at = 44;
  for (const piece of pieces) {
    for (const sample of piece) {
      bytes.setInt16(at, Math.max(-1, Math.min(1, sample)) * 32767, true);
      at += 2;
    }
  }
  return new File([bytes.buffer], "recording.wav", {type: "audio/wav"});
}

// Records until stop() is called, which gives a WAV file; null where nothing has come yet.
export async function startRecording() {
  if (!navigator.mediaDevices) throw new Error("browsers give it to pages over HTTPS or from this machine only.");
  const stream = await navigator.mediaDevices.getUserMedia({audio: {channelCount: 1, echoCancellation: true}});
  const release = () => stream.getTracks().forEach((track) => track.stop());
  const pieces = [];
  const context = new AudioContext({sampleRate: RATE});
  try {
    await context.audioWorklet.addModule("/web/recorder.js");
    const node = new AudioWorkletNode(context, "recorder");
    node.port.onmessage = (event) => pieces.push(event.data);
    context.createMediaStreamSource(stream).connect(node);
    await context.resume();
  } catch (error) {
    release();
    throw error;
  }
  return {
    async stop() {
      release();
      await context.close();
      return pieces.length ? wavFile(pieces) : null;
    },
  };
}

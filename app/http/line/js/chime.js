// A soft sound for the turn. Browsers play nothing before a person has touched the page, hence the button.
import { $, kept, t } from "./page.js";

let audio = null;
const wanted = () => kept.get("sound", false);

function note(at, pitch, volume) {
  const [tone, gain] = [audio.createOscillator(), audio.createGain()];
  tone.type = "sine";
  tone.frequency.value = pitch;
  gain.gain.setValueAtTime(0, at);
  gain.gain.linearRampToValueAtTime(volume, at + 0.03);
  gain.gain.exponentialRampToValueAtTime(0.0001, at + 0.9);
  tone.connect(gain).connect(audio.destination);
  tone.start(at);
  tone.stop(at + 1);
}

export function chime(volume = 0.25) {
  if (!audio || audio.state !== "running" || !wanted()) return;
  [523.25, 659.25, 783.99].forEach((pitch, i) => note(audio.currentTime + i * 0.22, pitch, volume));
  navigator.vibrate?.([150, 100, 150]);
}

function shown() {
  const on = wanted() && audio?.state === "running";
  $("sound").setAttribute("aria-pressed", String(Boolean(on)));
  $("sound-label").textContent = t(on ? "line.sound.on" : "line.sound.off");
}

async function unlock() {
  audio ??= new AudioContext();
  if (audio.state !== "running") await audio.resume();
}

export function soundButton() {
  const button = $("sound");
  if (!("AudioContext" in window)) return void (button.hidden = true);
  button.addEventListener("click", async () => {
    const turnOn = button.getAttribute("aria-pressed") !== "true";
    kept.set("sound", turnOn);
    if (turnOn) { await unlock(); chime(0.08); }
    shown();
  });
  // Chosen before a reload: the first touch anywhere unlocks it again.
  if (wanted()) window.addEventListener("pointerdown", () => unlock().then(shown), { once: true });
  shown();
}

"""What the latent diffusion and flow models share: where weights are, strict loading, devices, the VAE, padding."""

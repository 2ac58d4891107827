// A still life for the page's sample pictures: a mug, a pear and an orange on a table by a window.
// scripts/draw_samples.py has it rendered.
#version 3.7;
global_settings {
  assumed_gamma 1.0
  radiosity { count 60 error_bound 0.8 recursion_limit 1 nearest_count 8 brightness 0.9 }
}

camera {
  location <0.4, 3.3, -9.6>
  look_at <0.25, 1.75, 0>
  angle 48
  aperture 0.26
  focal_point <0, 1, -0.6>
  blur_samples 30
  variance 1/8000
}

// The window, off to the left, and a faint light of the room.
light_source {
  <-9, 9, -5> rgb <1.0, 0.93, 0.82> * 1.5
  area_light <3, 0, 0>, <0, 3, 0>, 5, 5 adaptive 1 jitter circular orient
}
light_source { <8, 6, -9> rgb <0.55, 0.68, 0.9> * 0.22 shadowless }

// The wall, in the shade at the right.
plane {
  z, 7
  hollow
  pigment {
    gradient x
    color_map { [0 rgb <0.60, 0.66, 0.58>] [1 rgb <0.30, 0.37, 0.36>] }
    scale 16 translate -8*x
  }
  normal { bumps 0.12 scale 0.25 }
  finish { diffuse 0.8 }
}

// The table's planks.
#declare Plank = pigment {
  wood turbulence <0.06, 0.02, 0.4> octaves 5
  color_map {
    [0.0 rgb <0.34, 0.19, 0.10>]
    [0.5 rgb <0.52, 0.32, 0.17>]
    [0.8 rgb <0.44, 0.26, 0.13>]
    [1.0 rgb <0.28, 0.15, 0.08>]
  }
  scale <0.28, 0.28, 3.2> rotate <3, 86, 2>
}
#declare Number = 0;
#while (Number < 7)
  box {
    <-11, -0.4, -4.4 + Number*1.35>, <11, 0, -3.07 + Number*1.35>
    pigment { Plank translate <Number*3.7, Number*1.3, Number*5.1> }
    normal { wood 0.08 turbulence 0.3 scale <0.05, 0.05, 3> rotate 88*y }
    finish { diffuse 0.75 specular 0.25 roughness 0.03 reflection { 0.02, 0.10 fresnel on } conserve_energy }
    interior { ior 1.5 }
  }
  #declare Number = Number + 1;
#end

#declare Glaze = finish { diffuse 0.75 specular 0.7 roughness 0.006 reflection { 0.02, 0.22 } conserve_energy }

// The mug: its wall is turned on a wheel, its handle a bent ring.
union {
  lathe {
    cubic_spline 13,
    <-0.2, 0.02>, <0, 0.02>, <0.86, 0.02>, <1.02, 0.16>, <1.06, 0.9>, <1.08, 1.75>, <1.06, 2.14>, <0.99, 2.16>,
    <0.97, 1.75>, <0.95, 0.9>, <0.86, 0.26>, <0, 0.2>, <-0.2, 0.2>
  }
  difference {
    torus { 0.62, 0.14 rotate 90*x scale <0.95, 1.1, 1.2> translate <1.12, 1.1, 0> }
    cylinder { <0, 0.1, 0>, <0, 2.1, 0>, 1.0 }
  }
  pigment {
    gradient y
    color_map {
      [0.00 rgb <0.62, 0.52, 0.40>] [0.16 rgb <0.62, 0.52, 0.40>] [0.19 rgb <0.05, 0.20, 0.40>]
      [0.80 rgb <0.07, 0.27, 0.50>] [1.00 rgb <0.12, 0.36, 0.58>]
    }
    turbulence 0.03 scale 2.2
  }
  normal { bumps 0.05 scale <0.4, 0.03, 0.4> }
  finish { Glaze }
  rotate 28*y
  translate <-2.25, 0, 0.1>
}
disc { <-2.25, 1.82, 0.1>, y, 0.97 pigment { rgb <0.10, 0.045, 0.02> } finish { diffuse 0.6 specular 0.6 roughness 0.01 reflection 0.06 } }

// The pear.
union {
  lathe {
    cubic_spline 11,
    <0, -0.06>, <0.02, 0.06>, <0.42, 0.02>, <0.90, 0.38>, <0.98, 0.85>, <0.78, 1.35>, <0.46, 1.80>, <0.40, 2.10>,
    <0.24, 2.32>, <0.01, 2.34>, <-0.1, 2.3>
    pigment {
      bozo turbulence 0.6
      color_map { [0 rgb <0.66, 0.63, 0.12>] [0.55 rgb <0.72, 0.66, 0.16>] [0.8 rgb <0.74, 0.50, 0.13>] [1 rgb <0.62, 0.30, 0.09>] }
      scale 1.3
    }
    normal { bumps 0.06 scale 0.12 }
    finish { diffuse 0.8 specular 0.35 roughness 0.03 }
  }
  sphere_sweep {
    cubic_spline 5, <0, 2.1, 0>, 0.07, <0, 2.25, 0>, 0.06, <0.05, 2.5, 0>, 0.05, <0.17, 2.72, 0>, 0.07, <0.3, 2.9, 0>, 0.07
    pigment { rgb <0.16, 0.09, 0.04> }
  }
  rotate <0, 40, -5>
  translate <0.75, 0, 0.25>
}

// The orange.
sphere {
  <0, 0.83, 0>, 0.85
  pigment { bozo color_map { [0 rgb <0.93, 0.38, 0.03>] [1 rgb <0.97, 0.47, 0.05>] } scale 0.6 }
  normal { dents 0.28 scale 0.055 }
  finish { diffuse 0.78 specular 0.4 roughness 0.02 }
  rotate <15, 30, 0>
  translate <2.75, 0.02, -0.7>
}
